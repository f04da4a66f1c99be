"""Time on a device, and which repetitions of a measurement count.

The rule: something else on the machine only ever makes a repetition slower. One that takes over 10%
longer than the fastest is disturbed and left out; of the others the median is told. Fewer than
three that count are no measurement. Only a comparison, both sides of which met the same machine,
then goes by the three fastest of each and says so.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

TOLERANCE = 0.1
ENOUGH = 3
LIMIT = 40
"""Repetitions after which no more are tried."""


class DisturbedError(RuntimeError):
    """The machine was never left alone for long enough."""


@dataclass(frozen=True, kw_only=True)
class Times:
    """One repetition: seconds per part, and from start to end."""

    parts: tuple[float, ...]
    total: float
    disturbed: bool = False
    """Too few repetitions agreed."""


def now(device: torch.device) -> float:
    """Seconds on a clock that has waited for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def undisturbed(repetitions: Sequence[Times]) -> list[Times]:
    """Those that count, in their order."""
    fastest = min(times.total for times in repetitions)
    return [times for times in repetitions if times.total <= (1 + TOLERANCE) * fastest]


def typical(repetitions: Sequence[Times]) -> Times:
    """Medians over the repetitions that count. Raises DisturbedError if they are too few."""
    counted = undisturbed(repetitions)
    if len(counted) < ENOUGH:
        raise DisturbedError(f"only {len(counted)} of {len(repetitions)} repetitions agree")
    return _medians(counted)


def _medians(counted: Sequence[Times], *, disturbed: bool = False) -> Times:
    parts = zip(*(times.parts for times in counted), strict=True)
    return Times(
        parts=tuple(statistics.median(part) for part in parts),
        total=statistics.median(times.total for times in counted),
        disturbed=disturbed,
    )


def measure_in_turn(
    contenders: Sequence[Callable[[], Times]], *, limit: int = LIMIT
) -> list[Times]:
    """Each contender's typical times. They take turns, so that a slow minute meets them all.

    Each runs once before it counts.
    """
    for run in contenders:
        run()
    repetitions: list[list[Times]] = [[] for _ in contenders]
    for _ in range(limit):
        for kept, run in zip(repetitions, contenders, strict=True):
            kept.append(run())
        if all(len(undisturbed(kept)) >= ENOUGH for kept in repetitions):
            break
    return [_settled(kept) for kept in repetitions]


def _settled(repetitions: Sequence[Times]) -> Times:
    try:
        return typical(repetitions)
    except DisturbedError:
        fastest = sorted(repetitions, key=lambda times: times.total)[:ENOUGH]
        return _medians(fastest, disturbed=True)
