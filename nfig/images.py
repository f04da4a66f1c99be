"""Between tensors, arrays of pixels and image files.

Arrays are uint8 (.., Y, X, 3); tensors are float (.., 3, Y, X) in [-1, 1].
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

ImageFormat = Literal["png", "jpeg", "webp"]
Pixels = npt.NDArray[np.uint8]

DEFAULT_QUALITY = 90
GRID_GAP = 2
GRID_BACKGROUND = 255


def to_pixels(images_B3YX: Tensor) -> Pixels:
    """Rounds to uint8 (B, Y, X, 3); values outside [-1, 1] are clamped."""
    scaled = images_B3YX.detach().float().clamp(-1, 1).add(1).mul(127.5).round()
    pixels: Pixels = scaled.to("cpu", torch.uint8).movedim(-3, -1).contiguous().numpy()
    return pixels


def to_tensor(pixels: Pixels) -> Tensor:
    """float32 (B, 3, Y, X) in [-1, 1]; `to_pixels` gives the same pixels back."""
    return torch.from_numpy(pixels).movedim(-1, -3).contiguous().float().div(127.5).sub(1)


def encode_image(pixels: Pixels, image_format: ImageFormat, *, quality: int | None = None) -> bytes:
    """One image (Y, X, 3) as a file. `quality` from 1 to 100; png has none and refuses it.

    Raises ValueError on a bad format or quality.
    """
    if image_format not in ("png", "jpeg", "webp"):
        raise ValueError(f"image_format must be png, jpeg or webp: {image_format!r}")
    options: dict[str, int] = {}
    if image_format == "png":
        if quality is not None:
            raise ValueError("quality has no meaning for png")
    else:
        options["quality"] = DEFAULT_QUALITY if quality is None else quality
        if not 1 <= options["quality"] <= 100:
            raise ValueError(f"quality must be from 1 to 100: {quality}")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, image_format, **options)
    return buffer.getvalue()


def decode_image(data: bytes) -> Pixels:
    """Pixels (Y, X, 3) of an image file. Raises ValueError if it is none."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.array(image.convert("RGB"), dtype=np.uint8)
    except (OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"not an image: {error}") from None


def image_grid(pixels: Pixels, *, columns: int) -> Pixels:
    """Images (B, Y, X, 3) side by side in rows of `columns`, with a small gap around each."""
    if columns < 1:
        raise ValueError(f"columns must be 1 or more: {columns}")
    count, height, width, _ = pixels.shape
    rows = -(-count // columns)
    grid = np.full(
        (rows * (height + GRID_GAP) + GRID_GAP, columns * (width + GRID_GAP) + GRID_GAP, 3),
        GRID_BACKGROUND,
        dtype=np.uint8,
    )
    for index in range(count):
        top = GRID_GAP + index // columns * (height + GRID_GAP)
        left = GRID_GAP + index % columns * (width + GRID_GAP)
        grid[top : top + height, left : left + width] = pixels[index]
    return grid


def save_png(path: Path, pixels: Pixels) -> None:
    """Writes one image (Y, X, 3), making folders as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_image(pixels, "png"))
