"""Reads a data set of small labelled images that fits in memory.

An `.npz` file with `x` (uint8, N x side x side x 3) and `y` (class labels), and beside it an
optional `classes.json` with the list of class names.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from nfig.images import to_tensor

HELD_OUT_PER_CLASS = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledImages:
    """Images with a class label each."""

    pixels: npt.NDArray[np.uint8]
    """(N, side, side, 3)."""
    labels: npt.NDArray[np.int64]
    """(N,), from 0 to the number of classes - 1."""
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def image_size(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def digest(self) -> str:
        """SHA-256 over pixels and labels."""
        digest = hashlib.sha256(np.ascontiguousarray(self.pixels).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()

    def select(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> LabelledImages:
        return LabelledImages(
            pixels=self.pixels[rows], labels=self.labels[rows], class_names=self.class_names
        )

    def split(self, held_out: int = HELD_OUT_PER_CLASS) -> tuple[LabelledImages, LabelledImages]:
        """Training images, and the last `held_out` of each class (at most half of a class)."""
        is_held_out = np.zeros(len(self), dtype=bool)
        for label in range(len(self.class_names)):
            rows = np.flatnonzero(self.labels == label)
            kept = max(len(rows) - held_out, (len(rows) + 1) // 2)
            is_held_out[rows[kept:]] = True
        return self.select(~is_held_out), self.select(is_held_out)

    def images(self, rows: torch.Tensor) -> torch.Tensor:
        """(B, 3, side, side) in [-1, 1]."""
        return to_tensor(self.pixels[rows.numpy()])


def load_images(path: Path) -> LabelledImages:
    """Raises ValueError, naming the file and what is wrong with it."""
    try:
        with np.load(path, allow_pickle=False) as file:
            pixels, labels = file["x"], file["y"]
    except FileNotFoundError:
        raise ValueError(f"data: no file {path}") from None
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"data: {path} is not an .npz file with x and y ({error})") from None
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] != 3:
        raise ValueError(
            f"data: x in {path} must be uint8 (N, side, side, 3): {pixels.dtype} {pixels.shape}"
        )
    if pixels.shape[1] != pixels.shape[2]:
        raise ValueError(f"data: images in {path} must be square: {pixels.shape}")
    if labels.shape != (len(pixels),) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"data: y in {path} must be one whole number per image: {labels.shape}")
    if not len(labels) or labels.min() < 0:
        raise ValueError(f"data: y in {path} must hold labels from 0")
    class_names = _class_names(path.with_name("classes.json"), num_classes=int(labels.max()) + 1)
    return LabelledImages(pixels=pixels, labels=labels.astype(np.int64), class_names=class_names)


def _class_names(path: Path, *, num_classes: int) -> tuple[str, ...]:
    if not path.exists():
        return tuple(str(label) for label in range(num_classes))
    names = json.loads(path.read_text(encoding="utf-8"))
    valid = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not valid or len(names) < num_classes:
        raise ValueError(f"data: {path} must be a list of at least {num_classes} class names")
    return tuple(names)
