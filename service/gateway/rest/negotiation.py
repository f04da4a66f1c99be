"""Which media type an answer takes: what the caller accepts, against what we can give."""

from __future__ import annotations

from collections.abc import Sequence

from service.domain import PictureFormat
from service.errors import NotAcceptable

JSON = "application/json"
EVENTS = "text/event-stream"
PICTURES: dict[str, PictureFormat] = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/webp": "webp",
}


def choose(accept: str, offers: Sequence[str]) -> str:
    """The offer with the highest quality; the earlier one where two are equal.

    Raises NotAcceptable if the header (RFC 9110) leaves none. An empty header accepts all.
    """
    ranges = _ranges(accept) or [("*/*", 1.0)]
    best = max(offers, key=lambda offer: _quality(offer, ranges))
    if _quality(best, ranges) <= 0:
        raise NotAcceptable(f"accept must allow one of {', '.join(offers)}", field="accept")
    return best


def _ranges(accept: str) -> list[tuple[str, float]]:
    """Media ranges with their quality; what cannot be read counts as 0."""
    ranges = []
    for part in accept.split(","):
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if not media:
            continue
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key == "q":
                quality = _number(value)
        ranges.append((media, quality))
    return ranges


def _quality(offer: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The quality of the most specific range that covers the offer."""
    family = offer.partition("/")[0] + "/*"
    for form in (offer, family, "*/*"):
        qualities = [quality for media, quality in ranges if media == form]
        if qualities:
            return max(qualities)
    return 0.0


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0 <= value <= 1 else 0.0
