"""What may be asked of a generation beside its class."""

from __future__ import annotations

import uuid
from typing import Any, Literal, TypedDict

from nfig_client.records import PictureFormat


class GenerationOptions(TypedDict, total=False):
    """None is the same as absent: the service's default, which is mostly the model's."""

    model: str | None
    num_images: int | None
    seed: int | None
    """Drawn by the service if absent. Image i is drawn from (seed, i)."""
    guidance_scale: float | None
    top_k: int | None
    top_p: float | None
    temperature: float | None
    bands: int | None
    """Stop after this many bands: the image is whole, only blurrier."""
    previews: int | None
    """Previews per image, at most `bands` - 1; none if absent."""
    deadline_ms: int | None
    """Milliseconds from now: the images have the bands that fit."""
    start_within_ms: int | None
    """Milliseconds from now within which drawing must begin."""
    brownout: Literal["allow", "never"] | None
    """Whether fewer bands will do when demand exceeds capacity; allowed if absent."""
    priority: Literal["high", "normal", "low"] | None
    """Which waiting jobs come first; normal if absent."""
    picture_format: PictureFormat | None
    picture_quality: int | None
    idempotency_key: str | None
    """Your own name for the request, for repeating it from another process. Without one every call
    makes its own, so that its own retries never draw twice."""


def job_body(class_label: int | str, options: GenerationOptions) -> dict[str, Any]:
    """The body of `POST /v1/jobs`. Raises TypeError that names an unknown option."""
    if unknown := options.keys() - GenerationOptions.__annotations__.keys():
        raise TypeError(f"there is no option {', '.join(sorted(unknown))}")
    given = {name: value for name, value in options.items() if value is not None}
    given.pop("idempotency_key", None)
    return {"class_label": class_label, **given}


def idempotency_key(options: GenerationOptions) -> str:
    return options.get("idempotency_key") or uuid.uuid4().hex
