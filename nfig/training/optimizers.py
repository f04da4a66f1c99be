"""Who takes the steps: AdamW, or Muon for the matrices inside the blocks beside AdamW for the rest.

Muon (Jordan et al. 2024) makes the momentum of a matrix orthogonal before it takes a step with it.
Scaled to the size of AdamW's steps (Liu et al. 2025, arXiv 2502.16982), one rate does for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nfig.training.options import TrainingOptions

MUON_RATE = 4.0
"""Times the learning rate: beside AdamW at 1e-3 that is the usual 0.02 of its authors."""


class Optimizers:
    """All of a module, as one. Raises ValueError if there is nothing for Muon in it."""

    def __init__(self, module: nn.Module, options: TrainingOptions) -> None:
        inner = _matrices_of_blocks(module) if options.optimizer == "muon" else []
        if options.optimizer == "muon" and not inner:
            raise ValueError("optimizer: muon is for transformers")
        self._rated: list[tuple[torch.optim.Optimizer, float]] = [
            (_adamw(module, options, without=inner), 1.0)
        ]
        if inner:
            self._rated.append((_muon(inner, options), MUON_RATE))

    def zero_grad(self) -> None:
        for optimizer, _ in self._rated:
            optimizer.zero_grad()

    def step(self, *, learning_rate: float) -> None:
        for optimizer, times in self._rated:
            for group in optimizer.param_groups:
                group["lr"] = times * learning_rate
            optimizer.step()

    def state_dict(self) -> list[dict[str, Any]]:
        return [optimizer.state_dict() for optimizer, _ in self._rated]

    def load_state_dict(self, states: Sequence[dict[str, Any]]) -> None:
        for (optimizer, _), state in zip(self._rated, states, strict=True):
            optimizer.load_state_dict(state)


def _matrices_of_blocks(module: nn.Module) -> list[Tensor]:
    blocks = module.get_submodule("blocks") if hasattr(module, "blocks") else nn.ModuleList()
    return [part.weight for part in blocks.modules() if isinstance(part, nn.Linear)]


def _adamw(
    module: nn.Module, options: TrainingOptions, *, without: Sequence[Tensor]
) -> torch.optim.AdamW:
    embeddings = {id(part.weight) for part in module.modules() if isinstance(part, nn.Embedding)}
    left_out = {id(parameter) for parameter in without}
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        if id(parameter) in left_out:
            continue
        is_weight = name.endswith("weight") and parameter.ndim >= 2
        (decayed if is_weight and id(parameter) not in embeddings else free).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": options.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=options.learning_rate, betas=options.betas, fused=True)


def _muon(matrices: Sequence[Tensor], options: TrainingOptions) -> torch.optim.Muon:
    return torch.optim.Muon(
        matrices,
        lr=MUON_RATE * options.learning_rate,
        weight_decay=options.weight_decay,
        adjust_lr_fn="match_rms_adamw",
    )
