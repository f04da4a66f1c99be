"""From `ImageSpec` to the draft that every front door hands on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nfig_proto.v1 import image_generation_pb2 as pb
from service.domain import BrownoutConsent, PictureFormat, Priority
from service.errors import InvalidRequest
from service.gateway.drafts import MAX_LIMIT_MS, Draft

PICTURE_FORMATS: dict[pb.PictureFormat, PictureFormat] = {
    pb.PICTURE_FORMAT_PNG: "png",
    pb.PICTURE_FORMAT_JPEG: "jpeg",
    pb.PICTURE_FORMAT_WEBP: "webp",
}
BROWNOUTS: dict[pb.Brownout, BrownoutConsent] = {
    pb.BROWNOUT_ALLOW: "allow",
    pb.BROWNOUT_NEVER: "never",
}
PRIORITIES: dict[pb.Priority, Priority] = {
    pb.PRIORITY_LOW: "low",
    pb.PRIORITY_NORMAL: "normal",
    pb.PRIORITY_HIGH: "high",
}
CALL_DEADLINE = "deadline"
"""What the caller knows as the time limit of the call."""
_SAME_NAME = (
    "model",
    "num_images",
    "seed",
    "guidance_scale",
    "top_k",
    "top_p",
    "temperature",
    "bands",
    "picture_quality",
    "deadline_ms",
    "start_within_ms",
)


def draft_of(spec: pb.ImageSpec) -> Draft:
    """Types and presence only; ranges are checked where all doors meet. Raises InvalidRequest."""
    choice = spec.WhichOneof("class_choice")
    if choice is None:
        text = "spec.class_label is missing: give it or spec.class_name"
        raise InvalidRequest(text, field="spec.class_label")
    named = (*_SAME_NAME, "picture_format", "brownout", "priority")
    names = {ours: f"spec.{ours}" for ours in named}
    return Draft(
        **{ours: _said(spec, ours) for ours in _SAME_NAME},
        class_label=getattr(spec, choice),
        num_previews=_said(spec, "previews"),
        picture_format=_picture_format(spec),
        brownout=_brownout(spec),
        priority=_priority(spec),
        names={**names, "class_label": f"spec.{choice}", "num_previews": "spec.previews"},
    )


def leaving(draft: Draft, seconds_left: float | None) -> Draft:
    """The draft of a caller who is gone by then: what cannot start before is refused at once."""
    if seconds_left is None or seconds_left * 1000 > MAX_LIMIT_MS:
        return draft
    left_ms = max(1, int(seconds_left * 1000))
    said = draft.start_within_ms
    if said is not None and not left_ms < said <= MAX_LIMIT_MS:
        return draft
    names = {**draft.names, "start_within_ms": CALL_DEADLINE}
    return replace(draft, start_within_ms=left_ms, names=names)


def _said(spec: pb.ImageSpec, field: str) -> Any:
    return getattr(spec, field) if spec.HasField(field) else None


def _picture_format(spec: pb.ImageSpec) -> PictureFormat | None:
    if spec.picture_format == pb.PICTURE_FORMAT_UNSPECIFIED:
        return None
    if spec.picture_format not in PICTURE_FORMATS:
        text = "spec.picture_format is not one of the known formats"
        raise InvalidRequest(text, field="spec.picture_format")
    return PICTURE_FORMATS[spec.picture_format]


def _brownout(spec: pb.ImageSpec) -> BrownoutConsent | None:
    if spec.brownout == pb.BROWNOUT_UNSPECIFIED:
        return None
    if spec.brownout not in BROWNOUTS:
        raise InvalidRequest("spec.brownout is neither allow nor never", field="spec.brownout")
    return BROWNOUTS[spec.brownout]


def _priority(spec: pb.ImageSpec) -> Priority | None:
    if spec.priority == pb.PRIORITY_UNSPECIFIED:
        return None
    if spec.priority not in PRIORITIES:
        raise InvalidRequest("spec.priority is not low, normal or high", field="spec.priority")
    return PRIORITIES[spec.priority]
