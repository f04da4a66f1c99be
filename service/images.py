"""Pixels to PNG, JPEG and WebP: the same pixels always give the same bytes."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from service.domain import Picture, PictureFormat

_OPTIONS: dict[PictureFormat, dict[str, Any]] = {
    "png": {"compress_level": 6},
    "jpeg": {"subsampling": 0},
    "webp": {"method": 4},
}


def encode_picture(
    pixels: npt.NDArray[np.uint8], *, picture_format: PictureFormat, quality: int
) -> tuple[Picture, bytes]:
    """Encodes (side, side, 3) pixels; `quality` is 1 to 100 and means nothing to PNG."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ValueError(f"pixels must be uint8 (side, side, 3): {pixels.dtype} {pixels.shape}")
    options = _OPTIONS[picture_format]
    if picture_format != "png":
        options = {**options, "quality": quality}
    buffer = io.BytesIO()
    Image.fromarray(pixels, mode="RGB").save(buffer, format=picture_format, **options)
    content = buffer.getvalue()
    picture = Picture(
        digest=hashlib.sha256(content).hexdigest(),
        num_bytes=len(content),
        format=picture_format,
        side=pixels.shape[0],
    )
    return picture, content
