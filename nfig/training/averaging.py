"""Moving average of a module's parameters; sampled and kept in place of the last ones."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class AveragedModule:
    """An exponential moving average that starts fast, so that short trainings have one too."""

    def __init__(self, module: nn.Module, *, decay: float) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, module: nn.Module, *, step: int) -> None:
        """Buffers are taken over as they are: the codebook is an average already."""
        decay = min(self.decay, (1 + step) / (10 + step))
        average: list[Tensor] = list(self.module.parameters())
        current: list[Tensor] = list(module.parameters())
        torch._foreach_lerp_(average, current, 1 - decay)
        for kept, new in zip(self.module.buffers(), module.buffers(), strict=True):
            kept.copy_(new)
