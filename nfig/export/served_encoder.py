"""The encoder as a server uses it: pictures in, the tokens of every band out, numpy arrays both.

Shape legend: B pictures, Y X pixels, L tokens of all bands, band after band and row-major in each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch

from nfig import checkpoint
from nfig.images import to_tensor
from nfig.tokenizer import FRVAE


class ServedEncoder:
    """Encodes with one model's tokenizer; one call at a time."""

    def __init__(self, tokenizer: FRVAE, *, digest: str, device: torch.device | str) -> None:
        self.tokenizer = tokenizer.to(device).eval()
        self.digest = digest
        self.device = device

    @classmethod
    def load(cls, folder: Path, *, device: str = "cpu") -> Self:
        """From a checkpoint folder, whose transformer is left out. Raises ValueError."""
        _, tokenizer = checkpoint.load_tokenizer(folder)
        return cls(tokenizer, digest=checkpoint.digest(folder), device=device)

    @torch.no_grad()
    def encode(self, pixels_BYX3: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
        """Tokens (B, L), the same for a picture whatever its neighbours."""
        # A copy, because torch wants no arrays that are read-only, as what was received may be.
        images_B3YX = to_tensor(pixels_BYX3.copy()).to(self.device)
        # One picture at a time, as the library does: a sum in another order may pick another code.
        rows = [torch.cat(self.tokenizer.encode(image), dim=1) for image in images_B3YX.split(1)]
        tokens_BL: npt.NDArray[np.int32] = torch.cat(rows).to("cpu", torch.int32).numpy()
        return tokens_BL

    @property
    def pixels_shape(self) -> tuple[int, int, int]:
        """(Y, X, 3)."""
        side = self.tokenizer.config.image_size
        return (side, side, 3)
