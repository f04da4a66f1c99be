"""A picture as text: each character is two pixels, one above the other."""

from __future__ import annotations

import io

from PIL import Image
from rich.color import Color
from rich.style import Style
from rich.text import Text

UPPER_HALF = "\u2580"


def half_blocks(encoded: bytes, *, columns: int) -> Text:
    """A PNG, JPEG or WebP, square or not, at most `columns` characters wide."""
    with Image.open(io.BytesIO(encoded)) as opened:
        picture = opened.convert("RGB")
    width = max(1, min(columns, picture.width))
    height = max(2, round(picture.height * width / picture.width))
    picture = picture.resize((width, height + height % 2), Image.Resampling.BOX)
    lines = [
        Text.assemble(*(_character(picture, column, row) for column in range(width)))
        for row in range(0, picture.height, 2)
    ]
    return Text("\n").join(lines)


def _character(picture: Image.Image, column: int, row: int) -> tuple[str, Style]:
    upper, lower = (_colour(picture, column, row + offset) for offset in (0, 1))
    return UPPER_HALF, Style(color=upper, bgcolor=lower)


def _colour(picture: Image.Image, column: int, row: int) -> Color:
    pixel = picture.getpixel((column, row))
    assert isinstance(pixel, tuple)
    red, green, blue = pixel
    return Color.from_rgb(red, green, blue)
