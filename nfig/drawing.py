"""Draws many images in batches, each a function of (model, class label, seed, its index) alone.

Shape legend: B batch rows, C latent channels, H W latent grid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nfig.config import ModelConfig
from nfig.generation import Generation, generate
from nfig.images import Pixels, image_grid, save_png, to_pixels
from nfig.model import NFIGModel

BATCH = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class DrawnImages:
    """Pixels (N, side, side, 3) with their class labels (N,)."""

    pixels: Pixels
    labels: npt.NDArray[np.int64]

    def save(self, path: Path) -> None:
        """`.npz` with `x` and `y`, or else a grid as PNG, near to square."""
        if path.suffix == ".npz":
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(path, x=self.pixels, y=self.labels)
            return
        columns = round(len(self.labels) ** 0.5 + 0.49)
        save_png(path, image_grid(self.pixels, columns=columns))


def labels_in_turn(config: ModelConfig, class_name: str | None, *, count: int) -> list[int]:
    """`count` labels: all of one class (by name or number), or all classes one after another.

    Raises ValueError if there is no such class.
    """
    if count < 1:
        raise ValueError(f"count must be 1 or more: {count}")
    num_classes = config.transformer.num_classes
    if class_name is None:
        return [index % num_classes for index in range(count)]
    if class_name in config.class_names:
        return [config.class_names.index(class_name)] * count
    if class_name.isdecimal() and int(class_name) < num_classes:
        return [int(class_name)] * count
    names = ", ".join(config.class_names)
    raise ValueError(f"class must be a number below {num_classes} or one of {names}: {class_name}")


@torch.no_grad()
def draw_many(
    model: NFIGModel,
    labels: Sequence[int],
    *,
    seed: int,
    options: Mapping[str, Any] | None = None,
) -> DrawnImages:
    """One image per label; those of one class are told apart by their index within the class.

    `options` replaces the model's own sampling defaults. Raises ValueError naming a bad field.
    """
    defaults = model.config.sampling
    chosen = {
        "guidance_scale": defaults.guidance_scale,
        "top_k": defaults.top_k,
        "top_p": defaults.top_p,
        "temperature": defaults.temperature,
        **(options or {}),
    }
    drawn: Counter[int] = Counter()
    generations: list[Generation] = []
    for label in labels:
        generations.append(
            Generation(class_label=label, seed=seed, image_index=drawn[label], **chosen)
        )
        drawn[label] += 1
    pixels = [
        _draw_batch(model, generations[start : start + BATCH])
        for start in range(0, len(generations), BATCH)
    ]
    return DrawnImages(pixels=np.concatenate(pixels), labels=np.array(labels, dtype=np.int64))


def _draw_batch(model: NFIGModel, generations: Sequence[Generation]) -> Pixels:
    *_, last = generate(model, generations)
    return to_pixels(model.tokenizer.decode_canvas(last.canvas_BCHW))
