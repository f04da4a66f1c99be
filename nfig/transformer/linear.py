"""Linear layers whose every row comes out the same, bit for bit, whatever rows are beside it.

A generation must not depend on its neighbours in the batch. CPU matrix products break that in the
last bit: they share rows out to threads in fours, and sum what is left over in another order.

Shape legend: M rows, I inputs, O outputs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROWS_PER_THREAD = 4


def steady_linear(x: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
    """`F.linear`, on a CPU with rows of zeros added until no thread has leftovers.

    Measured for float32 on MKL; elsewhere it is only a linear layer.
    """
    if x.device.type != "cpu":
        return F.linear(x, weight_OI, bias_O)
    x_MI = x.reshape(-1, x.shape[-1])
    missing = -x_MI.shape[0] % (ROWS_PER_THREAD * torch.get_num_threads())
    y_MO = F.linear(F.pad(x_MI, (0, 0, 0, missing)) if missing else x_MI, weight_OI, bias_O)
    return y_MO[: x_MI.shape[0]].view(*x.shape[:-1], weight_OI.shape[0])


class SteadyLinear(nn.Linear):
    """`nn.Linear` by `steady_linear`."""

    def forward(self, x: Tensor) -> Tensor:
        return steady_linear(x, self.weight, self.bias)
