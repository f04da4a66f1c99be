"""Files that people and others upload, to the pixels that a model reads."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from service.errors import BodyTooLarge, InvalidImage
from service.gateway.drafts import Draft
from service.gateway.uploads import Uploads, read_pixels
from service.settings import GatewaySettings

SIDE = 16


def a_file(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def a_picture(side: int = 48) -> Image.Image:
    corners = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 9, 9]]], np.uint8)
    return Image.fromarray(corners).resize((side, side), Image.Resampling.BICUBIC)


def read(content: bytes, max_pixels: int = 10_000) -> np.ndarray[Any, Any]:
    pixels = np.frombuffer(read_pixels(content, side=SIDE, max_pixels=max_pixels), np.uint8)
    return pixels.reshape(SIDE, SIDE, 3)


FILES = [a_file(a_picture(), kind) for kind in ("PNG", "JPEG", "WEBP")]


@pytest.mark.parametrize("content", FILES, ids=["png", "jpeg", "webp"])
def test_every_format_gives_about_the_same_pixels(content: bytes) -> None:
    expected = np.asarray(a_picture().resize((SIDE, SIDE), Image.Resampling.LANCZOS), np.int32)
    assert np.abs(read(content) - expected).mean() < 5
    np.testing.assert_array_equal(read(content), read(content))


def test_a_lossless_picture_is_resized_as_the_library_does() -> None:
    expected = np.asarray(a_picture().resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(read(FILES[0]), expected)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.full((20, 20), 40_000, np.uint16))  # 156 of 255
    else:
        image = Image.new("RGB", (20, 20), (153, 153, 153)).convert(mode)
    pixels = read(a_file(image, "JPEG" if mode == "CMYK" else "PNG"))
    assert mode == "1" or np.abs(pixels.astype(int) - 153).max() <= 3


def test_what_is_transparent_is_white() -> None:
    hidden = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    assert (read(a_file(hidden)) == 255).all()
    palette = Image.new("P", (20, 20))
    palette.putpalette([10, 20, 30])
    assert (read(a_file(palette, transparency=0)) == 255).all()


def test_a_photograph_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    lying = a_file(a_picture().transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif, quality=95)
    upright = read(a_file(a_picture(), "JPEG", quality=95))
    assert np.abs(read(lying).astype(int) - upright).mean() < 5


def test_of_a_photograph_with_copies_of_itself_the_first_is_taken() -> None:
    copies = [Image.new("RGB", (8, 8), "red")]
    content = a_file(a_picture(), "MPO", save_all=True, append_images=copies, quality=95)
    expected = read(a_file(a_picture(), "JPEG", quality=95))
    assert np.abs(read(content).astype(int) - expected).mean() < 2


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "must be a whole"),
        (b"GIF89a", "must be a whole"),
        (a_file(a_picture(), "GIF"), "must be a whole"),
        (a_file(a_picture(), "TIFF"), "must be a whole"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "must be a whole"),
        (FILES[0][:-40], "must be a whole"),
        (FILES[1][: len(FILES[1]) // 2], "must be a whole"),
        (a_file(Image.new("RGB", (20, 30))), "must be square, not 20 x 30"),
        (a_file(Image.new("RGB", (101, 101))), "10000 pixels at most"),
    ],
    ids=["none", "magic", "gif", "tiff", "svg", "cut png", "cut jpeg", "oblong", "large"],
)
def test_what_is_no_picture_for_us_is_refused_with_the_reason(
    content: bytes, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        read(content)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_is_refused(kind: str) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "green", "blue")]
    content = a_file(frames[0], kind, save_all=True, append_images=frames[1:], duration=10)
    with pytest.raises(ValueError, match="not an animation"):
        read(content)


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_a_bomb_is_refused_by_what_it_declares(side: int) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        whole = name + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"\0" * 1_000_000)) + chunk(b"IEND", b"")
    with pytest.raises(ValueError, match="pixels at most"):
        read(b"\x89PNG\r\n\x1a\n" + header + data)


@settings(max_examples=150, deadline=None)
@given(
    content=st.sampled_from(FILES),
    length=st.floats(min_value=0, max_value=1),
    edits=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=8),
)
def test_a_damaged_file_is_read_or_refused(
    content: bytes, length: float, edits: list[tuple[float, int]]
) -> None:
    damaged = bytearray(content)
    for place, value in edits:
        damaged[int(place * len(damaged))] = value
    try:
        assert read(bytes(damaged[: int(length * len(damaged))])).shape == (SIDE, SIDE, 3)
    except ValueError as error:
        assert len(str(error)) < 200


async def test_errors_name_the_field_as_its_caller_knows_it() -> None:
    uploads = Uploads(GatewaySettings(max_upload_bytes=100))
    names = {"image": "picture"}
    with pytest.raises(InvalidImage, match="picture must be a whole") as broken:
        await uploads.pixels(Draft(class_label=0, image=b"x", names=names), side=SIDE)
    assert broken.value.field == "picture"
    with pytest.raises(BodyTooLarge) as large:
        await uploads.pixels(Draft(class_label=0, image=b"x" * 101, names=names), side=SIDE)
    assert large.value.field == "picture"
    assert await uploads.pixels(Draft(class_label=0), side=SIDE) is None


def test_nothing_of_an_upload_touches_the_disk() -> None:
    # The form's parser would spool to a file what is over a megabyte.
    from service.gateway.rest.forms import _Parser

    assert _Parser.spool_max_size > GatewaySettings().max_upload_bytes
