"""The model that ships, drawn by this very process, with no service around it."""

from __future__ import annotations

import time
from typing import Self

import numpy as np

from benchmarks.drawers import CHECKPOINT
from nfig.export.served_model import ServedModel
from nfig.generation import Generation
from service.engine.engine import Pixels

BATCH_SIZES = (1, 2, 4, 8, 16)
"""Those that are tried; one of them is the best."""


class EngineAlone:
    """Draws up to pixels, one batch at a time, just as every engine of ours does inside."""

    def __init__(self, served: ServedModel) -> None:
        self._served = served
        self._seed = 0

    @classmethod
    def load(cls) -> Self:
        """Warm: every batch size has been drawn."""
        served = ServedModel.load(CHECKPOINT)
        served.warm_up()
        return cls(served)

    def draw(self, class_label: int, seeds: list[int]) -> Pixels:
        """(B, side, side, 3): an image per seed, all in one batch, with the model's defaults."""
        sampling = self._served.config.sampling
        generations = [
            Generation.with_sampling(sampling, class_label=class_label, seed=seed) for seed in seeds
        ]
        *_, last = self._served.draw(generations)
        canvases = [row.canvas for row in last.rows if row is not None]
        return self._served.decode(np.stack(canvases), [None] * len(canvases))

    def seconds(self, batch: int) -> float:
        """What one batch of new images takes."""
        seeds = [self._seed + row for row in range(batch)]
        self._seed += batch
        began = time.perf_counter()
        self.draw(0, seeds)
        return time.perf_counter() - began

    def rate(self, batch: int, *, seconds: float) -> float:
        """Images per second, one batch after another for so long."""
        began, images = time.perf_counter(), 0
        while (spent := time.perf_counter() - began) < seconds:
            self.seconds(batch)
            images += batch
        return images / spent if images else 0.0
