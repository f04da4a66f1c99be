"""Pictures of one generation in a row: a frame per band, labelled, enlarged unsmoothed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

FRAME_SIDE = 256
"""Least edge of a frame on the strip, in pixels."""
MARGIN = 12
LABEL_HEIGHT = 28
PAPER_COLOUR = (255, 255, 255)
INK_COLOUR = (40, 40, 40)


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One picture and what is written below it."""

    encoded: bytes
    """PNG, JPEG or WebP."""
    label: str


def draw_film_strip(frames: Sequence[Frame], *, frame_side: int = FRAME_SIDE) -> Image.Image:
    """All frames in one row. Each is enlarged by a whole factor, so that pixels stay visible."""
    if not frames:
        raise ValueError("frames must not be empty")
    pictures = [_enlarge(frame.encoded, frame_side) for frame in frames]
    side = max(picture.width for picture in pictures)
    width = MARGIN + len(frames) * (side + MARGIN)
    strip = Image.new("RGB", (width, MARGIN + side + LABEL_HEIGHT), PAPER_COLOUR)
    ink = ImageDraw.Draw(strip)
    font = ImageFont.load_default(size=15)
    for index, (frame, picture) in enumerate(zip(frames, pictures, strict=True)):
        left = MARGIN + index * (side + MARGIN)
        strip.paste(picture, (left, MARGIN))
        middle = (left + side // 2, MARGIN + side + LABEL_HEIGHT // 2)
        ink.text(middle, frame.label, fill=INK_COLOUR, font=font, anchor="mm")
    return strip


def _enlarge(encoded: bytes, frame_side: int) -> Image.Image:
    picture = Image.open(io.BytesIO(encoded)).convert("RGB")
    factor = max(1, -(-frame_side // picture.width))
    size = (picture.width * factor, picture.height * factor)
    return picture.resize(size, Image.Resampling.NEAREST)
