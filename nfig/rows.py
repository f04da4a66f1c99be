"""Rows of a batch one at a time, where a CPU would sum them differently together than alone.

Which kernel a CPU takes, and with it the last bits of what comes out, depends on the number of
rows; the next token hangs on the last bit. Threads share out a single row as well as several.
Linear layers, where a row alone would be slow, have tiles instead: nfig.transformer.linear.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def row_by_row(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """`function` of each row of `x`, or of all at once where nothing hangs on the last bit.

    That is so on other devices than CPUs, and where gradients are asked for.
    """
    if x.device.type != "cpu" or torch.is_grad_enabled() or x.shape[0] == 1:
        return function(x)
    return torch.cat([function(row) for row in x.split(1)])
