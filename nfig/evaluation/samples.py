"""The samples that are measured: all classes in turn, none picked, as `nfig sample` draws them.

Shape legend: N samples, K bands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nfig.config import SamplingDefaults
from nfig.data import LabelledImages
from nfig.drawing import labels_in_turn
from nfig.evaluation.features import in_batches
from nfig.generation import Generation, generate
from nfig.images import Pixels, to_pixels
from nfig.model import NFIGModel
from nfig.training.reporting import Reporter

BATCH = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    images: LabelledImages
    strips: Pixels
    """The first samples after each band: (rows, K, side, side, 3)."""


@torch.no_grad()
def draw_samples(
    model: NFIGModel,
    *,
    count: int,
    seed: int,
    strips: int,
    reporter: Reporter,
    sampling: SamplingDefaults | None = None,
) -> Samples:
    """With the model's own sampling unless told. Raises ValueError naming a bad count or seed."""
    labels = labels_in_turn(model.config, None, count=count)
    generations = _generations(sampling or model.config.sampling, labels, seed=seed)
    pixels, strip_pixels = [], []
    for rows in in_batches(count, BATCH, what="samples drawn", reporter=reporter):
        canvases = [step.canvas_BCHW for step in generate(model, generations[rows])]
        pixels.append(to_pixels(model.tokenizer.decode_canvas(canvases[-1])))
        if wanted := max(strips - rows.start, 0):
            decoded = [to_pixels(model.tokenizer.decode_canvas(c[:wanted])) for c in canvases]
            strip_pixels.append(np.stack(decoded, axis=1))
    images = LabelledImages(
        pixels=np.concatenate(pixels),
        labels=np.array([g.class_label for g in generations], dtype=np.int64),
        class_names=model.config.class_names,
    )
    return Samples(images=images, strips=np.concatenate(strip_pixels))


def _generations(
    sampling: SamplingDefaults, labels: Sequence[int], *, seed: int
) -> list[Generation]:
    drawn: Counter[int] = Counter()
    generations = []
    for label in labels:
        generations.append(
            Generation.with_sampling(
                sampling, class_label=label, seed=seed, image_index=drawn[label]
            )
        )
        drawn[label] += 1
    return generations
