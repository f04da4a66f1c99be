"""Frames of a generation in a row."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from service.stack.film_strip import MARGIN, Frame, draw_film_strip


def frame(colour: tuple[int, int, int], side: int = 4) -> Frame:
    encoded = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(encoded, "PNG")
    return Frame(encoded=encoded.getvalue(), label="band")


def test_every_frame_is_on_the_strip_in_order() -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    strip = draw_film_strip([frame(colour) for colour in colours], frame_side=40)
    middles = [(MARGIN + 20 + index * (40 + MARGIN), MARGIN + 20) for index in range(3)]
    assert [strip.getpixel(middle) for middle in middles] == colours


def test_pixels_are_enlarged_by_a_whole_factor_without_smoothing() -> None:
    encoded = io.BytesIO()
    checker = Image.new("RGB", (2, 1), (0, 0, 0))
    checker.putpixel((1, 0), (255, 255, 255))
    checker.save(encoded, "PNG")
    strip = draw_film_strip([Frame(encoded=encoded.getvalue(), label="")], frame_side=9)
    picture = strip.crop((MARGIN, MARGIN, MARGIN + 10, MARGIN + 5))
    colours = picture.getcolors()
    assert colours is not None
    assert sorted(colours) == [(25, (0, 0, 0)), (25, (255, 255, 255))]


def test_no_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="frames"):
        draw_film_strip([])
