"""Linear layers whose every row comes out the same, bit for bit, whatever rows are beside it.

A generation must not depend on its neighbours in the batch. CPU matrix products in float32 break
that in the last bit: they share rows out to threads in fours, and sum what is left over in another
order.

Shape legend: M rows, I inputs, O outputs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nfig.int8 import Activation

ROWS_PER_THREAD = 4


def steady_linear(
    x: Tensor, weight_OI: Tensor, bias_O: Tensor | None, activation: Activation = "none"
) -> Tensor:
    """`F.linear`, on a CPU with rows of zeros added until no thread has leftovers.

    GELU is the tanh approximation. Measured for float32 on MKL, and for packed weights, which need
    no zeros; elsewhere it is only a linear layer.
    """
    if weight_OI.is_mkldnn:
        return _packed_linear(x, weight_OI, bias_O, activation)
    if x.device.type != "cpu":
        y = F.linear(x, weight_OI, bias_O)
    else:
        x_MI = x.reshape(-1, x.shape[-1])
        missing = -x_MI.shape[0] % (ROWS_PER_THREAD * torch.get_num_threads())
        y_MO = F.linear(F.pad(x_MI, (0, 0, 0, missing)) if missing else x_MI, weight_OI, bias_O)
        y = y_MO[: x_MI.shape[0]].view(*x.shape[:-1], weight_OI.shape[0])
    return F.gelu(y, approximate="tanh") if activation == "gelu" else y


class SteadyLinear(nn.Linear):
    """`nn.Linear` by `steady_linear`."""

    def forward(self, x: Tensor, activation: Activation = "none") -> Tensor:
        return steady_linear(x, self.weight, self.bias, activation)

    def pack(self) -> None:
        """Lay the weight out as the CPU's product reads it, where that is of use; for good.

        What is packed can only draw: it does not train, and is neither saved nor moved.
        """
        if can_pack(self.weight):
            packed = torch.ops.mkldnn._reorder_linear_weight(self.weight.detach())
            self.weight = nn.Parameter(packed, requires_grad=False)


def can_pack(weight_OI: Tensor) -> bool:
    """For bfloat16 on a CPU that has it, once."""
    return bool(
        weight_OI.device.type == "cpu"
        and weight_OI.dtype is torch.bfloat16
        and not weight_OI.is_mkldnn
        and torch.backends.mkldnn.is_available()
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


def _packed_linear(
    x: Tensor, weight_OI: Tensor, bias_O: Tensor | None, activation: Activation
) -> Tensor:
    algorithm = "tanh" if activation == "gelu" else ""
    y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight_OI, bias_O, activation, [], algorithm)
    return y
