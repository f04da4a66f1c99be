"""From what a caller said to what an engine needs: one complete, checked `GenerationRequest`.

Every front door builds a `Draft`; `complete` fills the gaps from the model card and refuses what
is out of range, in the caller's own words for the fields. Pure functions, no input or output.
"""

from __future__ import annotations

import difflib
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from service.domain import (
    BrownoutConsent,
    GenerationRequest,
    ModelCard,
    PictureFormat,
    Priority,
    Sampling,
)
from service.errors import InvalidRequest, UnknownClass

MAX_SEED = 2**63 - 1
DRAWN_SEEDS = 2**53
"""Seeds that we draw stay below this, so that JavaScript reads them from JSON exactly."""
MAX_GUIDANCE_SCALE = 100.0
MAX_TEMPERATURE = 100.0
DEFAULT_PICTURE_QUALITY = 100
MAX_LIMIT_MS = 24 * 3600 * 1000
"""Of what a caller allows us in time: a day."""
COMPARED_CHARACTERS = 40
"""How much of a caller's text is looked at for what it may have meant."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A request before it is checked; None means that the caller did not say."""

    class_label: int | str
    """A class id, or the text of an id or of a class name."""
    model: str | None = None
    num_images: int | None = None
    image_size: int | None = None
    """Pixels per edge; only the model's own is possible."""
    seed: int | None = None
    guidance_scale: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    temperature: float | None = None
    bands: int | None = None
    image: bytes | None = field(default=None, repr=False)
    """An image file to vary."""
    keep_bands: int | None = None
    num_previews: int | None = None
    picture_format: PictureFormat | None = None
    picture_quality: int | None = None
    deadline_ms: int | None = None
    """As in `GenerationRequest`."""
    start_within_ms: int | None = None
    priority: Priority | None = None
    brownout: BrownoutConsent | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    """What the front door calls a field, where it is not what we call it here."""

    def name(self, ours: str) -> str:
        return self.names.get(ours, ours)


def complete(
    draft: Draft, card: ModelCard, *, max_images: int, priority: Priority = "normal"
) -> GenerationRequest:
    """The whole request, of the priority that its caller may have.

    Raises InvalidRequest that names the field as the caller knows it.
    """
    num_images = _whole(draft, "num_images", default=1, low=1, high=max_images)
    bands = _whole(draft, "bands", default=card.num_bands, low=1, high=card.num_bands)
    num_previews = _whole(draft, "num_previews", default=0, low=0, high=bands - 1)
    if draft.image_size not in (None, card.image_size):
        size = f"{card.image_size}x{card.image_size}"
        raise _invalid(draft, "image_size", f"must be {size}, the size of model {card.id}")
    return GenerationRequest(
        model=card.id,
        class_label=_class_label(draft, card),
        num_images=num_images,
        seed=_seed(draft),
        sampling=_sampling(draft, card),
        bands=bands,
        keep_bands=_keep_bands(draft, card, bands),
        previews=spread_previews(num_previews, bands),
        picture_format=draft.picture_format or "png",
        picture_quality=_picture_quality(draft),
        deadline_ms=_limit_ms(draft, "deadline_ms"),
        start_within_ms=_limit_ms(draft, "start_within_ms"),
        priority=priority,
        brownout=draft.brownout or "allow",
    )


def _keep_bands(draft: Draft, card: ModelCard, bands: int) -> int | None:
    """Half of the model's bands, rounded down, where there is an image and nothing is said."""
    if draft.image is None:
        return None
    return _whole(draft, "keep_bands", default=min(card.num_bands // 2, bands), low=0, high=bands)


def spread_previews(count: int, bands: int) -> tuple[int, ...]:
    """Which bands to show when `count` previews are wanted of a generation of `bands` bands.

    The bands before the last are cut into `count` equal stretches, and the band in the middle of
    each is shown: preview i is band floor((2 i + 1) (bands - 1) / (2 count)).
    """
    assert 0 <= count <= bands - 1
    return tuple((2 * index + 1) * (bands - 1) // (2 * count) for index in range(count))


def _class_label(draft: Draft, card: ModelCard) -> int:
    wanted = draft.class_label
    name = draft.name("class_label")
    if isinstance(wanted, str):
        wanted = wanted.strip()
        matches = [i for i, class_name in enumerate(card.class_names) if class_name == wanted]
        if len(matches) == 1:
            return matches[0]
        if matches:
            ids = ", ".join(map(str, matches))
            text = f"{name} names several classes of model {card.id}: say one of the ids {ids}"
            raise UnknownClass(text, field=name)
        label = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 10 else -1
    else:
        label = wanted
    if 0 <= label < len(card.class_names):
        return label
    raise UnknownClass(_unknown_class(name, draft.class_label, card), field=name)


def _unknown_class(name: str, wanted: int | str, card: ModelCard) -> str:
    # What was said is not repeated: errors end up in logs that are not ours, prompts must not.
    near = difflib.get_close_matches(str(wanted)[:COMPARED_CHARACTERS], card.class_names, n=1)
    guess = f" (did you mean {near[0]!r}?)" if near else ""
    return (
        f"{name} is not a class of model {card.id}{guess}; "
        f"give an id from 0 to {len(card.class_names) - 1} or an exact name from "
        f"/v1/models/{card.id}"
    )


def _seed(draft: Draft) -> int:
    if draft.seed is None:
        return secrets.randbelow(DRAWN_SEEDS)
    return _whole(draft, "seed", default=0, low=0, high=MAX_SEED)


def _sampling(draft: Draft, card: ModelCard) -> Sampling:
    return Sampling(
        guidance_scale=_real(
            draft, "guidance_scale", default=card.guidance_scale, high=MAX_GUIDANCE_SCALE
        ),
        top_k=_whole(draft, "top_k", default=card.top_k, low=0, high=card.codebook_size),
        top_p=_real(draft, "top_p", default=card.top_p, above=0.0, high=1.0),
        temperature=_real(
            draft, "temperature", default=card.temperature, above=0.0, high=MAX_TEMPERATURE
        ),
    )


def _picture_quality(draft: Draft) -> int:
    if draft.picture_quality is not None and (draft.picture_format or "png") == "png":
        raise _invalid(
            draft,
            "picture_quality",
            f"is for jpeg and webp only: set {draft.name('picture_format')} too",
        )
    quality = _whole(draft, "picture_quality", default=DEFAULT_PICTURE_QUALITY, low=0, high=100)
    # The encoders' scale starts at 1.
    return max(1, quality)


def _limit_ms(draft: Draft, ours: str) -> int | None:
    if getattr(draft, ours) is None:
        return None
    return _whole(draft, ours, default=0, low=1, high=MAX_LIMIT_MS)


def _whole(draft: Draft, ours: str, *, default: int, low: int, high: int) -> int:
    value: int | None = getattr(draft, ours)
    if value is None:
        return default
    if not low <= value <= high:
        raise _invalid(draft, ours, f"must be from {low} to {high}")
    return value


def _real(
    draft: Draft, ours: str, *, default: float, high: float, above: float | None = None
) -> float:
    """A number from 0, or from just above `above`, to `high`."""
    value: float | None = getattr(draft, ours)
    if value is None:
        return default
    fits = value >= 0 if above is None else value > above
    if not (math.isfinite(value) and fits and value <= high):
        low = "from 0 to" if above is None else f"above {above:g} and at most"
        raise _invalid(draft, ours, f"must be {low} {high:g}")
    return float(value)


def _invalid(draft: Draft, ours: str, complaint: str) -> InvalidRequest:
    name = draft.name(ours)
    return InvalidRequest(f"{name} {complaint}", field=name)
