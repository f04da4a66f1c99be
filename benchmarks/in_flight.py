"""`python -m benchmarks.in_flight`: should a newcomer join a batch that is being drawn?

Costs are measured, arrivals are simulated. Measured is the time on one core of every band at every
batch size, in the engine. Simulated are callers who come at random, and three ways to serve them on
two cores: whole batches on both, two instances with a core each, and one batch on both cores that
newcomers join at the next band. Rows at different bands have different numbers of tokens, so a
joined batch takes one step per band that is present; those behind go first and so catch up.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Annotated, Any, Literal

import typer

from benchmarks.drawers import CHECKPOINT
from benchmarks.queue_model import at_random
from benchmarks.reports import Report, milliseconds, quantile
from nfig.export.contract import BATCH_SIZES
from nfig.export.served_model import ServedModel, padded_size
from nfig.generation import Generation

Costs = Mapping[int, Sequence[float]]
"""Seconds on one core of each band, by batch size."""
Way = Literal["whole batches", "two instances", "joined"]
WAYS: Sequence[Way] = ("whole batches", "two instances", "joined")
BOTH_CORES = 1.7
"""How much faster a batch is on two cores than on one. An assumption, and a kind one."""
LOADS = (0.3, 0.6, 0.9)


@dataclass(kw_only=True, eq=False)
class Row:
    """One image on its way."""

    arrived: float
    bands: int = 0
    """Drawn so far."""
    first: float = 0.0
    last: float = 0.0


def measured_costs(rounds: int) -> Costs:
    """Medians of the rounds."""
    served = ServedModel.load(CHECKPOINT)
    served.warm_up()
    sampling = served.config.sampling
    generation = Generation.with_sampling(sampling, class_label=0, seed=0)
    found: dict[int, list[list[float]]] = {size: [] for size in BATCH_SIZES}
    for _ in range(rounds):
        for size, times in found.items():
            times.append(_band_seconds(served, [generation] * size))
    return {
        size: [median(band) for band in zip(*times, strict=True)] for size, times in found.items()
    }


def _band_seconds(served: ServedModel, generations: Sequence[Generation]) -> list[float]:
    seconds, began = [], time.process_time()
    for _ in served.draw(generations):
        now = time.process_time()
        seconds.append(now - began)
        began = now
    return seconds


class Instance:
    """Draws one step after another for the rows that it has."""

    def __init__(self, costs: Costs, *, speed: float, joins: bool) -> None:
        self.free_at = 0.0
        self.rows: list[Row] = []
        self._costs = costs
        self._speed = speed
        self._joins = joins

    @property
    def room(self) -> int:
        return max(BATCH_SIZES) - len(self.rows) if self._joins or not self.rows else 0

    def step(self, now: float) -> None:
        """One band of those who are furthest behind."""
        behind = min(row.bands for row in self.rows)
        group = [row for row in self.rows if row.bands == behind]
        self.free_at = now + self._costs[padded_size(len(group))][behind] / self._speed
        for row in group:
            row.bands += 1
            row.first = row.first or self.free_at
            row.last = self.free_at
        self.rows = [row for row in self.rows if row.bands < len(self._costs[1])]


def simulated(way: Way, costs: Costs, arrivals: Sequence[float]) -> list[Row]:
    """All rows, drawn."""
    both = way != "two instances"
    instances = [
        Instance(costs, speed=BOTH_CORES if both else 1.0, joins=way == "joined")
        for _ in range(1 if both else 2)
    ]
    rows = [Row(arrived=at) for at in arrivals]
    coming, waiting, now = deque(rows), deque[Row](), 0.0
    while coming or waiting or any(each.rows for each in instances):
        while coming and coming[0].arrived <= now:
            waiting.append(coming.popleft())
        for each in instances:
            if each.free_at <= now:
                joining = min(each.room, len(waiting))
                each.rows += [waiting.popleft() for _ in range(joining)]
                if each.rows:
                    each.step(now)
        busy = [each.free_at for each in instances if each.free_at > now]
        now = min([*busy, *([coming[0].arrived] if coming else [])], default=now)
    return rows


def measure(*, images: int, rounds: int, costs_of: Callable[[int], Costs]) -> Report:
    costs = costs_of(rounds)
    capacity = max(size / sum(bands) for size, bands in costs.items()) * BOTH_CORES
    rows = []
    for load in LOADS:
        arrivals = list(at_random(load * capacity, images / capacity, seed=7))
        rows += [_row(way, load, simulated(way, costs, arrivals)) for way in WAYS]
    parameters = {"images": images, "rounds": rounds, "both cores": BOTH_CORES}
    return Report(name="in-flight", parameters=parameters, rows=rows)


def _row(way: Way, load: float, drawn: Sequence[Row]) -> dict[str, Any]:
    first = [row.first - row.arrived for row in drawn]
    last = [row.last - row.arrived for row in drawn]
    return {
        "load": load,
        "way": way,
        "first band p50 ms": milliseconds(quantile(first, 0.5)),
        "first band p95 ms": milliseconds(quantile(first, 0.95)),
        "all bands p50 ms": milliseconds(quantile(last, 0.5)),
        "all bands p95 ms": milliseconds(quantile(last, 0.95)),
    }


def main(
    images: Annotated[int, typer.Option(help="How many a full machine draws in a run.")] = 4000,
    rounds: Annotated[int, typer.Option(help="Measurements of each batch size.")] = 9,
) -> None:
    """First band and whole image under staggered arrivals, by how batches are made."""
    measure(images=images, rounds=rounds, costs_of=measured_costs).publish()


if __name__ == "__main__":
    typer.run(main)
