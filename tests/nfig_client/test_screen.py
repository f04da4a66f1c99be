"""Laws of what the command draws in a terminal."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from rich.color import Color
from rich.style import Style

from nfig_client.half_blocks import UPPER_HALF, half_blocks
from nfig_client.screen import GAP, fitting_columns


def encoded(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_each_character_is_two_pixels() -> None:
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    text = half_blocks(encoded(pixels), columns=6)
    assert text.plain == "\n".join([UPPER_HALF * 6] * 2)
    styles = [span.style for span in text.spans]
    for (row, column), style in zip(np.ndindex(2, 6), styles, strict=True):
        assert isinstance(style, Style)
        upper, lower = (
            Color.from_rgb(*map(int, pixels[2 * row + half, column])) for half in (0, 1)
        )
        assert (style.color, style.bgcolor) == (upper, lower)


@pytest.mark.parametrize(("columns", "size"), [(64, (64, 32)), (10, (10, 5)), (7, (7, 4))])
def test_a_picture_shrinks_to_the_room_there_is(columns: int, size: tuple[int, int]) -> None:
    lines = half_blocks(encoded(np.zeros((64, 64, 3), np.uint8)), columns=columns).plain.split("\n")
    assert ({len(line) for line in lines}, len(lines)) == ({size[0]}, size[1])


@pytest.mark.parametrize("count", [1, 2, 3, 10])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50), (30, 60), (5, 3)])
def test_all_pictures_fit_and_none_could_be_larger(count: int, width: int, height: int) -> None:
    def fits(columns: int) -> bool:
        in_a_row = (width + GAP) // (columns + GAP)
        return in_a_row > 0 and -(-count // in_a_row) * -(-columns // 2) <= height

    columns = fitting_columns(count, width=width, height=height)
    assert columns == 1 or fits(columns)
    assert columns == 96 or not any(fits(more) for more in range(columns + 1, 97))
