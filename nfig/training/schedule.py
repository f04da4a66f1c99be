"""What a training does at which step: learning rate, and which examples.

Both are functions of the step alone (and of the share of the planned time that has passed), so a
resumed training needs to remember nothing else.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from nfig.training import processes
from nfig.training.options import TrainingOptions


def learning_rate(options: TrainingOptions, *, step: int, progress: float) -> float:
    """Linear warm-up by steps, then a cosine by progress (0 to 1) down to the final rate."""
    warmup = min(1.0, (step + 1) / max(options.warmup_steps, 1))
    cosine = 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    share = options.final_learning_rate + (1 - options.final_learning_rate) * cosine
    return options.learning_rate * warmup * share


class BatchOrder:
    """Which rows of the data make up the batch of a step: a new shuffle in every epoch."""

    def __init__(self, *, num_examples: int, batch_size: int, seed: int) -> None:
        assert num_examples > 0, "checked when the data was read"
        self.num_examples = num_examples
        self.batch_size = min(batch_size, num_examples)
        self.seed = seed
        self._shuffled: tuple[int, Tensor] | None = None

    @property
    def steps_per_epoch(self) -> int:
        """The rest of the data that fills no batch is left out, another rest in each epoch."""
        return self.num_examples // self.batch_size

    def rows(self, step: int) -> Tensor:
        """int64 (B,)."""
        epoch, index = divmod(step, self.steps_per_epoch)
        if self._shuffled is None or self._shuffled[0] != epoch:
            generator = np.random.default_rng((self.seed, epoch))
            self._shuffled = (epoch, torch.from_numpy(generator.permutation(self.num_examples)))
        return self._shuffled[1][index * self.batch_size : (index + 1) * self.batch_size]


class Shares:
    """What this process sees of the batch of a step, in `accumulate` turns. Over the processes the
    shares make up the batch of `BatchOrder`, however many there are.

    Raises ValueError if they cannot be equal.
    """

    def __init__(self, options: TrainingOptions, *, num_examples: int) -> None:
        self.turns = options.accumulate
        self._order = BatchOrder(
            num_examples=num_examples, batch_size=options.images_per_step, seed=options.seed
        )
        parts = self.turns * processes.count()
        if self._order.batch_size % parts:
            raise ValueError(
                f"batch_size: the {self._order.batch_size} images of a step do not make {parts} "
                "equal parts, one for each process and accumulated batch"
            )

    @property
    def steps_per_epoch(self) -> int:
        return self._order.steps_per_epoch

    def rows(self, step: int) -> Tensor:
        """int64, one row of the matrix per turn."""
        rows = self._order.rows(step).view(self.turns, processes.count(), -1)
        return rows[:, processes.rank()]
