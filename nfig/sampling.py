"""From logits to tokens: top-k, top-p, temperature, and noise that belongs to one row.

A token is drawn by the Gumbel-max rule, argmax(logits / temperature + noise), with noise that is a
pure function of (seed, image index, band). So a generation does not depend on its neighbours in
the batch, on the batch size, or on the device's random generator.

Shape legend: B batch rows, l tokens of one band, V codebook size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

LARGEST_SEED = 2**63 - 1
# SplitMix64 (Steele, Lea, Flood 2014), as two's complement: its state is key + n x step, which
# makes it a counter-based generator whose n-th number needs no other.
_STEP = 0x9E3779B97F4A7C15 - 2**64
_FIRST_FACTOR = 0xBF58476D1CE4E5B9 - 2**64
_SECOND_FACTOR = 0x94D049BB133111EB - 2**64
_UNIFORM_BITS = 23
"""The most for which (n + 0.5) / 2^bits is exact in float32 and never 0 or 1."""


@dataclass(frozen=True, kw_only=True)
class TokenChoice:
    """How one row's tokens are drawn from its logits."""

    top_k: int
    """0 keeps all codes."""
    top_p: float
    temperature: float
    """0 takes the likeliest code and no noise."""


def noise_key(*, seed: int, image_index: int, band: int) -> int:
    """First 8 bytes (little-endian, signed) of SHA-256 of "seed/image_index/band" in decimal."""
    digest = hashlib.sha256(f"{seed}/{image_index}/{band}".encode()).digest()
    return int.from_bytes(digest[:8], "little", signed=True)


def gumbel_noise(
    keys: Sequence[int] | Tensor, *, num_tokens: int, codebook_size: int, device: torch.device
) -> Tensor:
    """Standard Gumbel noise of shape (B, l, V) in float32, one key per row (a tensor's in int64).

    Integer arithmetic, which wraps around alike on every device, makes the uniform numbers; only
    the two logarithms may differ between devices, in the last bit.
    """
    count = num_tokens * codebook_size
    steps = torch.arange(1, count + 1, device=device).mul_(_STEP)
    noise_BX = torch.empty(len(keys), count, dtype=torch.float32, device=device)
    # Row by row and in place: new memory costs more than the arithmetic on a million numbers.
    bits, shifted = torch.empty_like(steps), torch.empty_like(steps)
    for key, noise in zip(keys, noise_BX, strict=True):
        torch.add(steps, key, out=bits)
        bits.bitwise_xor_(_shift_right(bits, 30, shifted)).mul_(_FIRST_FACTOR)
        bits.bitwise_xor_(_shift_right(bits, 27, shifted)).mul_(_SECOND_FACTOR)
        bits.bitwise_xor_(_shift_right(bits, 31, shifted))
        noise.copy_(_shift_right(bits, 64 - _UNIFORM_BITS, shifted))
        noise.add_(0.5).mul_(2.0**-_UNIFORM_BITS).log_().neg_().log_().neg_()
    return noise_BX.view(len(keys), num_tokens, codebook_size)


def _shift_right(bits: Tensor, count: int, out: Tensor) -> Tensor:
    """Logical shift into `out`: torch's own copies the sign bit of int64."""
    torch.bitwise_right_shift(bits, count, out=out)
    return out.bitwise_and_((1 << (64 - count)) - 1)


def draw_tokens(logits_BlV: Tensor, noise_BlV: Tensor, choices: Sequence[TokenChoice]) -> Tensor:
    """Tokens (B, l) in int64: row i's logits are filtered and drawn as `choices[i]` says."""
    temperature_B11 = _column([choice.temperature or 1.0 for choice in choices], logits_BlV)
    heat_B11 = _column([float(choice.temperature > 0) for choice in choices], logits_BlV)
    # The maximum goes first, so that a tiny temperature gives -inf beside 0 and never inf - inf.
    logits_BlV = (logits_BlV - logits_BlV.amax(-1, keepdim=True)) / temperature_B11
    logits_BlV = keep_top_k(logits_BlV, [choice.top_k for choice in choices])
    logits_BlV = keep_top_p(logits_BlV, [choice.top_p for choice in choices])
    return (logits_BlV + noise_BlV.to(logits_BlV.dtype) * heat_B11).argmax(-1)


def stack_choices(choices: Sequence[TokenChoice]) -> Tensor:
    """As numbers: top-k, top-p and temperature (B, 3) in float64, in the host's memory."""
    numbers = [(choice.top_k, choice.top_p, choice.temperature) for choice in choices]
    return torch.tensor(numbers, dtype=torch.float64)


def draw_stacked(logits_BlV: Tensor, noise_BlV: Tensor, choice_B3: Tensor) -> Tensor:
    """`draw_tokens` of stacked choices. Where they are on a GPU, nothing is asked of the host."""
    if choice_B3.device.type != "cpu":
        return draw_sorted(logits_BlV, noise_BlV, choice_B3)
    choices = [
        TokenChoice(top_k=int(top_k), top_p=top_p, temperature=temperature)
        for top_k, top_p, temperature in choice_B3.tolist()
    ]
    return draw_tokens(logits_BlV, noise_BlV, choices)


def draw_sorted(logits_BlV: Tensor, noise_BlV: Tensor, choice_B3: Tensor) -> Tensor:
    """`draw_tokens` for a graph (nfig.graphs): one sort for all rows serves top-k and top-p."""
    top_k_B11, top_p_B11, temperature_B11 = choice_B3.view(-1, 3, 1, 1).unbind(1)
    dtype, codebook_size = logits_BlV.dtype, logits_BlV.shape[-1]
    heat_B11 = (temperature_B11 > 0).to(dtype)
    divisor_B11 = temperature_B11.masked_fill(temperature_B11 == 0, 1.0).to(dtype)
    logits_BlV = (logits_BlV - logits_BlV.amax(-1, keepdim=True)) / divisor_B11
    sorted_BlV = logits_BlV.sort(-1, descending=True).values
    kth_B11 = top_k_B11.masked_fill(top_k_B11 == 0, codebook_size).long() - 1
    smallest_of_k_Bl1 = sorted_BlV.gather(-1, kth_B11.expand(-1, sorted_BlV.shape[1], -1))
    sorted_BlV = _cut(sorted_BlV, smallest_of_k_Bl1)
    probabilities = sorted_BlV.softmax(-1)
    needed_BlV = probabilities.cumsum(-1) - probabilities < top_p_B11.to(dtype)
    last_Bl1 = (needed_BlV | (top_p_B11 >= 1)).sum(-1, keepdim=True).clamp(min=1) - 1
    smallest_Bl1 = torch.maximum(smallest_of_k_Bl1, sorted_BlV.gather(-1, last_Bl1))
    return (_cut(logits_BlV, smallest_Bl1) + noise_BlV.to(dtype) * heat_B11).argmax(-1)


def keep_top_k(logits_BlV: Tensor, top_k: Sequence[int]) -> Tensor:
    """Row i keeps its `top_k[i]` largest logits (0: all), and any equal to the smallest of them.

    The others become -inf.
    """
    codebook_size = logits_BlV.shape[-1]
    rows = [row for row, k in enumerate(top_k) if 0 < k < codebook_size]
    if not rows:
        return logits_BlV
    chosen_blV = logits_BlV[rows]
    largest = [
        logits_lV.topk(top_k[row], dim=-1, sorted=False).values
        for row, logits_lV in zip(rows, chosen_blV, strict=True)
    ]
    smallest_bl1 = torch.stack([values_lk.amin(-1, keepdim=True) for values_lk in largest])
    return _replace(logits_BlV, rows, _cut(chosen_blV, smallest_bl1))


def keep_top_p(logits_BlV: Tensor, top_p: Sequence[float]) -> Tensor:
    """Row i keeps the fewest likeliest codes whose probabilities reach `top_p[i]` (1: all).

    Codes as likely as the last one kept are kept too. The others become -inf.
    """
    rows = [row for row, p in enumerate(top_p) if p < 1]
    if not rows:
        return logits_BlV
    chosen_blV = logits_BlV[rows]
    sorted_blV = chosen_blV.sort(-1, descending=True).values
    probabilities = sorted_blV.softmax(-1)
    before_blV = probabilities.cumsum(-1) - probabilities
    needed_blV = before_blV < _column([top_p[row] for row in rows], logits_BlV)
    last_bl1 = needed_blV.sum(-1, keepdim=True).clamp(min=1) - 1
    return _replace(logits_BlV, rows, _cut(chosen_blV, sorted_blV.gather(-1, last_bl1)))


def _cut(logits_blV: Tensor, smallest_bl1: Tensor) -> Tensor:
    return logits_blV.masked_fill(logits_blV < smallest_bl1, -torch.inf)


def _replace(logits_BlV: Tensor, rows: list[int], chosen_blV: Tensor) -> Tensor:
    if len(rows) == logits_BlV.shape[0]:
        return chosen_blV
    logits_BlV = logits_BlV.clone()
    logits_BlV[rows] = chosen_blV
    return logits_BlV


def _column(values: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(-1, 1, 1)
