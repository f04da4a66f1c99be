"""Linear layers whose every row comes out the same, bit for bit, whatever rows are beside it.

A generation must not depend on its neighbours in the batch. A CPU's matrix product breaks that in
the last bit: it chooses its kernel, its blocks and so the order of its sums by the number of rows,
and chooses differently on every kind of CPU. So the number of rows is always the same: a product
runs on tiles, whose size depends on the layer's input but never on the batch.

Shape legend: B batch rows, l tokens of each, M all rows of a product, I inputs, O outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from typing import TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nfig.int8 import Activation

SMALLEST_TILE = 16
"""Rows. What is missing is filled up, so that this is also what a single row costs."""
SMALLEST_AMX_TILE = 64
"""There a product waits for its weights, and 64 rows cost about as much as 16."""
LARGEST_PAIR = 128
"""Rows. Above it, a tile gains nothing from another row of the batch."""


def steady_linear(
    x: Tensor, weight_OI: Tensor, bias_O: Tensor | None, activation: Activation = "none"
) -> Tensor:
    """`F.linear` of (B, l, I) or (B, I), then perhaps GELU (tanh approximation).

    Steady on a CPU without gradients, in 16 and 32 bits; elsewhere it is only a linear layer.
    """
    if weight_OI.is_mkldnn:
        return _in_tiles(partial(product, weight_OI, bias_O, activation), x)
    if not _is_steady(x, weight_OI):
        y = F.linear(x, weight_OI, bias_O)
        return F.gelu(y, approximate="tanh") if activation == "gelu" else y
    if not _has_product(weight_OI):
        bias_O = None if bias_O is None else bias_O.float()
        return steady_linear(x.float(), weight_OI.float(), bias_O, activation).to(x.dtype)
    return steady_linear(x, _packed(weight_OI), bias_O, activation)


def steady_pair(x: Tensor, first: nn.Module, second: nn.Module) -> Tensor:
    """`second(GELU(first(x)))`, a tile at a time where both are packed, so that less is copied.

    The bits are those of one after the other.
    """
    if not (_is_packed(first) and _is_packed(second)):
        return second(first(x, "gelu"))  # type: ignore[no-any-return]

    def both(tile_MI: Tensor) -> Tensor:
        between_MO = product(first.weight, first.bias, "gelu", tile_MI)
        return product(second.weight, second.bias, "none", between_MO)

    return _in_tiles(both, x)


def _is_packed(layer: nn.Module) -> TypeGuard[SteadyLinear]:
    return isinstance(layer, SteadyLinear) and layer.weight.is_mkldnn


class SteadyLinear(nn.Linear):
    """`nn.Linear` by `steady_linear`."""

    def forward(self, x: Tensor, activation: Activation = "none") -> Tensor:
        return steady_linear(x, self.weight, self.bias, activation)

    def pack(self) -> None:
        """Lay the weight out as the CPU's product reads it, where that is of use; for good.

        Its outputs stay the same. What is packed can only draw: it does not train, and is neither
        saved nor moved.
        """
        if can_pack(self.weight):
            self.weight = nn.Parameter(_packed(self.weight.detach()), requires_grad=False)


def can_pack(weight_OI: Tensor) -> bool:
    """On a CPU in float32, or in bfloat16 where the CPU has it; once."""
    return _has_product(weight_OI) and not weight_OI.is_mkldnn


@cache
def tile_rows(num_tokens: int, dtype: torch.dtype) -> int:
    """How many rows every product has whose input has this many tokens in each row of the batch.

    Whole rows of the batch, in pairs if they are small: guidance makes two of each.
    """
    num_tokens = max(num_tokens, 1)
    unit = 2 * num_tokens if 2 * num_tokens <= LARGEST_PAIR else num_tokens
    amx = dtype is torch.bfloat16 and torch.cpu.get_capabilities().get("amx_bf16", False)
    return unit * math.ceil((SMALLEST_AMX_TILE if amx else SMALLEST_TILE) / unit)


def product(
    packed_OI: Tensor, bias_O: Tensor | None, activation: Activation, x_MI: Tensor
) -> Tensor:
    """Of all rows at once, and so not steady."""
    algorithm = "tanh" if activation == "gelu" else ""
    y_MO: Tensor = torch.ops.mkldnn._linear_pointwise(
        x_MI, packed_OI, bias_O, activation, [], algorithm
    )
    return y_MO


def _in_tiles(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    rows = tile_rows(x.shape[-2] if x.dim() > 2 else 1, x.dtype)
    x_MI = x.reshape(-1, x.shape[-1])
    tiles_MI = [x_MI] if x_MI.shape[0] <= rows else list(x_MI.split(rows))
    missing = rows - tiles_MI[-1].shape[0]
    if missing:
        tiles_MI[-1] = F.pad(tiles_MI[-1], (0, 0, 0, missing))
    tiles_MO = [function(tile_MI) for tile_MI in tiles_MI]
    y_MO = tiles_MO[0] if len(tiles_MO) == 1 else torch.cat(tiles_MO)
    return y_MO[: x_MI.shape[0]].view(*x.shape[:-1], y_MO.shape[1])


def _is_steady(x: Tensor, weight_OI: Tensor) -> bool:
    training = torch.is_grad_enabled() or torch.is_autocast_enabled("cpu")
    drawing = x.device.type == "cpu" and x.dtype is weight_OI.dtype and not training
    return drawing and x.dtype.itemsize <= torch.float32.itemsize and _has_onednn()


def _has_product(weight_OI: Tensor) -> bool:
    """One of oneDNN, which unlike MKL is the same on CPUs of all makers, in the weight's dtype."""
    if weight_OI.device.type != "cpu" or not _has_onednn():
        return False
    if weight_OI.dtype is torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return weight_OI.dtype is torch.float32


def _has_onednn() -> bool:
    return bool(torch.backends.mkldnn.is_available())


def _packed(weight_OI: Tensor) -> Tensor:
    packed_OI: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight_OI)
    return packed_OI
