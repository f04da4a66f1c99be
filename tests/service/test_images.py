"""Pictures: the same pixels give the same bytes, and the bytes are what the event says they are."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from service.domain import PictureFormat
from service.images import encode_picture

FORMATS: list[PictureFormat] = ["png", "jpeg", "webp"]


@pytest.fixture
def pixels() -> npt.NDArray[np.uint8]:
    """A smooth picture, as lossy formats want it."""
    ramp = np.arange(64, dtype=np.uint8) * 4
    return np.stack(
        [np.tile(ramp, (64, 1)), np.tile(ramp[:, None], (1, 64)), 255 - ramp[None].repeat(64, 0)],
        -1,
    )


@pytest.mark.parametrize("picture_format", FORMATS)
def test_the_picture_describes_its_bytes(
    picture_format: PictureFormat, pixels: npt.NDArray[np.uint8]
) -> None:
    picture, content = encode_picture(pixels, picture_format=picture_format, quality=90)
    assert picture.digest == hashlib.sha256(content).hexdigest()
    assert (picture.num_bytes, picture.format, picture.side) == (len(content), picture_format, 64)
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.size) == (picture_format.upper(), (64, 64))
        error = np.abs(np.asarray(image.convert("RGB")).astype(int) - pixels).max()
    assert error <= (0 if picture_format == "png" else 24)


@pytest.mark.parametrize("picture_format", FORMATS)
def test_the_same_pixels_give_the_same_bytes_however_they_lie_in_memory(
    picture_format: PictureFormat, pixels: npt.NDArray[np.uint8]
) -> None:
    strided = np.asfortranarray(pixels)
    first = encode_picture(pixels, picture_format=picture_format, quality=80)
    assert encode_picture(strided, picture_format=picture_format, quality=80) == first


@pytest.mark.parametrize("picture_format", ["jpeg", "webp"])
def test_quality_trades_bytes(picture_format: PictureFormat, pixels: npt.NDArray[np.uint8]) -> None:
    low, _ = encode_picture(pixels, picture_format=picture_format, quality=5)
    high, _ = encode_picture(pixels, picture_format=picture_format, quality=100)
    assert low.num_bytes < high.num_bytes


def test_quality_means_nothing_to_png(pixels: npt.NDArray[np.uint8]) -> None:
    low = encode_picture(pixels, picture_format="png", quality=1)
    assert encode_picture(pixels, picture_format="png", quality=100) == low


@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 4), (1, 64, 64, 3)])
def test_what_is_no_picture_is_refused_by_name(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="pixels"):
        encode_picture(np.zeros(shape, np.uint8), picture_format="png", quality=90)
    with pytest.raises(ValueError, match="pixels"):
        encode_picture(np.zeros((8, 8, 3), np.float32), picture_format="png", quality=90)  # type: ignore[arg-type]
