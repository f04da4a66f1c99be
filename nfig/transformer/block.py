"""One transformer block: attention and MLP, both modulated by the class (AdaLN).

The block follows VAR (arXiv 2404.02905), which NFIG takes over unchanged: keys have no bias,
queries and keys are L2-normalised, and each head learns the scale of its logits.

Shape legend: B batch rows, l tokens given, t tokens attended to, D width, N heads, E head width.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nfig.int8 import Int8Linear
from nfig.transformer.linear import SteadyLinear, steady_linear, steady_pair

MODULATIONS = 6
"""Per block: gate, scale and shift for attention, then the same for the MLP."""
LAYER_NORM_EPS = 1e-6
INITIAL_HEAD_SCALE = 4.0
LARGEST_HEAD_SCALE = 100.0

Remember = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Takes this call's keys and values, gives those to attend to: how a cache joins in."""


def modulate(x_BlD: Tensor, *, scale_B1D: Tensor, shift_B1D: Tensor) -> Tensor:
    """AdaLN: layer norm without weights of its own, then the class's scale and shift."""
    normal_BlD = F.layer_norm(x_BlD, x_BlD.shape[-1:], eps=LAYER_NORM_EPS)
    return torch.addcmul(shift_B1D, normal_BlD, scale_B1D + 1)


def attend(q_BNlE: Tensor, k_BNtE: Tensor, v_BNtE: Tensor, *, mask_lt: Tensor | None) -> Tensor:
    """Softmax attention of queries that are scaled already: (B, N, l, E)."""
    if q_BNlE.requires_grad and q_BNlE.device.type == "cpu":
        return _attend_for_gradient(q_BNlE, k_BNtE, v_BNtE, mask_lt)
    if mask_lt is not None or q_BNlE.device.type != "cpu" or q_BNlE.dtype is not torch.bfloat16:
        return F.scaled_dot_product_attention(q_BNlE, k_BNtE, v_BNtE, attn_mask=mask_lt, scale=1.0)
    # PyTorch's fused kernel takes many small products, where the CPU is far from its rate. A row
    # at a time: its scores stay in the cache, and its bits do not depend on the others.
    rows = zip(q_BNlE, k_BNtE, v_BNtE, strict=True)
    return torch.stack([torch.bmm(torch.bmm(q, k.mT).softmax(-1), v) for q, k, v in rows])


def _attend_for_gradient(
    q_BNlE: Tensor, k_BNtE: Tensor, v_BNtE: Tensor, mask_lt: Tensor | None
) -> Tensor:
    """Term by term: backwards, the CPU's fused kernel takes many times as long."""
    scores_BNlt = q_BNlE @ k_BNtE.mT
    if mask_lt is not None:
        scores_BNlt = scores_BNlt.masked_fill(~mask_lt, -torch.inf)
    return scores_BNlt.softmax(-1).to(v_BNtE.dtype) @ v_BNtE


class Attention(nn.Module):
    """Multi-head attention over cosine similarities with a learned scale per head."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv: SteadyLinear | Int8Linear = SteadyLinear(width, 3 * width, bias=False)
        self.query_bias = nn.Parameter(torch.zeros(width))
        self.value_bias = nn.Parameter(torch.zeros(width))
        self.log_head_scale = nn.Parameter(
            torch.full((num_heads, 1, 1), math.log(INITIAL_HEAD_SCALE))
        )
        self.project = SteadyLinear(width, width)

    def forward(
        self, x_BlD: Tensor, *, mask_lt: Tensor | None, remember: Remember | None
    ) -> Tensor:
        qkv_Bl3NE = self._qkv(x_BlD).view(*x_BlD.shape[:2], 3, self.num_heads, -1)
        qkv_3BNlE = qkv_Bl3NE.permute(2, 0, 3, 1, 4)
        if self.training:
            # Gradients of what lies scattered take several times as long.
            qkv_3BNlE = qkv_3BNlE.contiguous()
        queries, keys, values = qkv_3BNlE.unbind(0)
        head_scale = self.log_head_scale.clamp(max=math.log(LARGEST_HEAD_SCALE)).exp()
        queries = (F.normalize(queries, dim=-1) * head_scale).to(values.dtype)
        keys = F.normalize(keys, dim=-1).to(values.dtype)
        if remember is not None:
            keys, values = remember(keys, values)
        attended_BNlE = attend(queries, keys, values, mask_lt=mask_lt)
        out: Tensor = self.project(attended_BNlE.transpose(1, 2).flatten(2))
        return out

    @property
    def bias(self) -> Tensor:
        """Of queries, keys and values together (3D,)."""
        return torch.cat([self.query_bias, torch.zeros_like(self.query_bias), self.value_bias])

    def _qkv(self, x_BlD: Tensor) -> Tensor:
        if isinstance(self.qkv, Int8Linear):
            return self.qkv(x_BlD)  # type: ignore[no-any-return]
        return steady_linear(x_BlD, self.qkv.weight, self.bias)


class DropPath(nn.Module):
    """Leaves a whole branch out for some rows in training; the others make up for it."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x_BlD: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x_BlD
        keep_B11 = x_BlD.new_empty(x_BlD.shape[0], 1, 1).bernoulli_(1 - self.rate)
        return x_BlD * keep_B11 / (1 - self.rate)


class Block(nn.Module):
    """x + gate * attention(AdaLN(x)), then x + gate * MLP(AdaLN(x))."""

    def __init__(self, width: int, num_heads: int, *, drop_path: float) -> None:
        super().__init__()
        self.attention = Attention(width, num_heads)
        self.expand = SteadyLinear(width, 4 * width)
        self.contract = SteadyLinear(4 * width, width)
        self.modulation = SteadyLinear(width, MODULATIONS * width)
        self.drop_path = DropPath(drop_path)

    def modulations(self, activated_BD: Tensor) -> Tensor:
        """What the class does to this block: shape (6, B, 1, D)."""
        modulations_BX: Tensor = self.modulation(activated_BD)
        modulations_B61D = modulations_BX.view(activated_BD.shape[0], MODULATIONS, 1, -1)
        return modulations_B61D.transpose(0, 1)

    def forward(
        self,
        x_BlD: Tensor,
        modulations_6B1D: Tensor,
        *,
        mask_lt: Tensor | None = None,
        remember: Remember | None = None,
    ) -> Tensor:
        gate_a, scale_a, shift_a, gate_m, scale_m, shift_m = modulations_6B1D.unbind(0)
        branch = modulate(x_BlD, scale_B1D=scale_a, shift_B1D=shift_a)
        branch = self.attention(branch, mask_lt=mask_lt, remember=remember)
        x_BlD = x_BlD + self.drop_path(branch * gate_a)
        branch = modulate(x_BlD, scale_B1D=scale_m, shift_B1D=shift_m)
        branch = steady_pair(branch, self.expand, self.contract)
        x_BlD = x_BlD + self.drop_path(branch * gate_m)
        return x_BlD
