"""Held-out images after each band, in figures and as a picture: what trainers of decoders watch.

Shape legend: 3YX RGB image in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from nfig.data import LabelledImages
from nfig.images import Pixels, image_grid, to_pixels
from nfig.training.losses import psnr, squared_error

EVALUATION_BATCH = 100
PICTURE_ROWS = 16

Redraw = Callable[[Tensor], Sequence[Tensor]]
"""Takes rows of the held-out data; gives their reconstructions (B, 3, Y, X) after each band."""


def psnr_per_band(held_out: LabelledImages, redraw: Redraw) -> dict[str, float]:
    """`psnr_band_0` and so on in dB, and `psnr`, that of the last."""
    errors = []
    for rows in torch.arange(len(held_out)).split(EVALUATION_BATCH):
        images_B3YX = held_out.images(rows)
        share = len(rows) / len(held_out)
        errors.append(
            [share * squared_error(redrawn.cpu(), images_B3YX) for redrawn in redraw(rows)]
        )
    figures = [round(psnr(sum(parts)), 3) for parts in zip(*errors, strict=True)]
    return {
        **{f"psnr_band_{band}": figure for band, figure in enumerate(figures)},
        "psnr": figures[-1],
    }


def reconstruction_picture(held_out: LabelledImages, redraw: Redraw) -> Pixels:
    """One held-out image a row: the original, then its canvas after each band."""
    count = min(PICTURE_ROWS, len(held_out))
    rows = torch.linspace(0, len(held_out) - 1, count).long()
    columns = [to_pixels(images) for images in (held_out.images(rows), *redraw(rows))]
    pixels: Pixels = np.stack(columns, axis=1).reshape(-1, *columns[0].shape[1:])
    return image_grid(pixels, columns=len(columns))
