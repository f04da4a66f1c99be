"""Laws of pixels, tensors and image files."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nfig.images import (
    GRID_BACKGROUND,
    Pixels,
    decode_image,
    encode_image,
    image_grid,
    to_pixels,
    to_tensor,
)


def noise(count: int, *, side: int = 8) -> Pixels:
    values = np.random.default_rng(0).integers(0, 256, (count, side, side, 3))
    pixels: Pixels = values.astype(np.uint8)
    return pixels


def test_every_pixel_value_survives_the_way_to_a_tensor_and_back() -> None:
    pixels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    tensor = to_tensor(pixels)
    assert tensor.shape == (1, 3, 16, 16)
    assert (tensor.min().item(), tensor.max().item()) == (-1, 1)
    assert np.array_equal(to_pixels(tensor), pixels)


def test_values_out_of_range_are_clamped() -> None:
    pixels = to_pixels(torch.tensor([-7.0, 0.0, 7.0]).view(1, 3, 1, 1))
    assert pixels.flatten().tolist() == [0, 128, 255]


def test_png_keeps_every_pixel() -> None:
    (pixels,) = noise(1)
    assert np.array_equal(decode_image(encode_image(pixels, "png")), pixels)


@pytest.mark.parametrize(("image_format", "magic"), [("jpeg", b"\xff\xd8"), ("webp", b"RIFF")])
def test_lossy_formats_come_near(image_format: str, magic: bytes) -> None:
    pixels = np.full((16, 16, 3), (200, 100, 50), dtype=np.uint8)
    data = encode_image(pixels, image_format)  # type: ignore[arg-type]
    assert data.startswith(magic)
    assert np.abs(decode_image(data).astype(int) - pixels).max() < 12


def test_less_quality_takes_fewer_bytes() -> None:
    (pixels,) = noise(1, side=64)
    assert len(encode_image(pixels, "jpeg", quality=10)) < len(
        encode_image(pixels, "jpeg", quality=95)
    )


def test_what_has_no_meaning_is_refused() -> None:
    (pixels,) = noise(1)
    with pytest.raises(ValueError, match="image_format"):
        encode_image(pixels, "gif")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="quality"):
        encode_image(pixels, "png", quality=50)
    with pytest.raises(ValueError, match="quality"):
        encode_image(pixels, "jpeg", quality=0)
    with pytest.raises(ValueError, match="columns"):
        image_grid(noise(1), columns=0)
    with pytest.raises(ValueError, match="not an image"):
        decode_image(b"nonsense")


def test_a_grid_shows_every_image_once_in_reading_order() -> None:
    pixels = noise(5)
    grid = image_grid(pixels, columns=2)
    assert grid.shape == (3 * 10 + 2, 2 * 10 + 2, 3)
    for index in range(5):
        top, left = 2 + index // 2 * 10, 2 + index % 2 * 10
        assert np.array_equal(grid[top : top + 8, left : left + 8], pixels[index])
    assert (grid[22:, 12:] == GRID_BACKGROUND).all()
