"""What the machine itself can do, measured: the limit that a model's speed is told beside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from nfig.speed.clock import now

ROWS, SIDE = 512, 2048
"""A matrix product of the shape of the last bands': many rows, a weight that fits no near cache."""
COPIED_BYTES = 2**28
REPETITIONS = 5


@dataclass(frozen=True, kw_only=True)
class MachineLimits:
    """The best of a few tries each."""

    gflops: float
    """Matrix products in the dtype asked for; one multiply-add is two."""
    gbytes_per_second: float
    """Reading and writing memory by one large copy; both count."""


def measure_limits(device: torch.device, dtype: torch.dtype) -> MachineLimits:
    """Takes about a second on a CPU."""
    x, weight = (torch.randn(n, SIDE, device=device).to(dtype) for n in (ROWS, SIDE))
    seconds = _best(lambda: x @ weight.T, device)
    source = torch.ones(COPIED_BYTES, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copying = _best(lambda: target.copy_(source), device)
    return MachineLimits(
        gflops=2 * ROWS * SIDE * SIDE / seconds / 1e9,
        gbytes_per_second=2 * COPIED_BYTES / copying / 1e9,
    )


def _best(work: Callable[[], object], device: torch.device) -> float:
    work()
    seconds = []
    for _ in range(REPETITIONS):
        started = now(device)
        work()
        seconds.append(now(device) - started)
    return min(seconds)
