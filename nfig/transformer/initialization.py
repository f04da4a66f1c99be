"""How a new transformer's weights start, after VAR.

| weights                          | start                                            |
|----------------------------------|--------------------------------------------------|
| linear, embeddings, positions    | truncated normal, std sqrt(1 / 3D)               |
| projections back to the residual | the same / sqrt(2 depth)                         |
| AdaLN scale and shift            | the same x 0.5                                   |
| AdaLN gates                      | the same x 1e-5: every block starts as identity  |
| head                             | the same x 0.02: the first loss is log V         |
| biases                           | zero                                             |
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from nfig.transformer.block import MODULATIONS, Block

ADALN_FACTOR = 0.5
GATE_FACTOR = 1e-5
HEAD_FACTOR = 0.02


def initialize(model: nn.Module, *, width: int) -> None:
    """Everything but blocks, AdaLN and the head."""
    std = math.sqrt(1 / (3 * width))
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.trunc_normal_(module.weight, std=std)


def initialize_positions(*positions: Tensor, width: int) -> None:
    for position in positions:
        nn.init.trunc_normal_(position, std=math.sqrt(1 / (3 * width)))


def temper(blocks: list[Block], *, head: nn.Linear, head_modulation: nn.Linear) -> None:
    """Scale down what must start small; call once, after `initialize`."""
    for block in blocks:
        for linear in (block.attention.project, block.contract):
            linear.weight.data.div_(math.sqrt(2 * len(blocks)))
        gate_a, *adaln_a, gate_m, scale_m, shift_m = block.modulation.weight.data.chunk(MODULATIONS)
        for rows in (gate_a, gate_m):
            rows.mul_(GATE_FACTOR)
        for rows in (*adaln_a, scale_m, shift_m):
            rows.mul_(ADALN_FACTOR)
    head_modulation.weight.data.mul_(ADALN_FACTOR)
    head.weight.data.mul_(HEAD_FACTOR)
