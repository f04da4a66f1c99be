"""`python -m benchmarks.overload`: what becomes of more requests than can be drawn.

The capacity is measured first, by callers that wait for their answers. Then requests come at
multiples of it, whether or not earlier ones have been answered, to a queue that is full once it
holds so many jobs. Completed work may not fall, those that are let in may not wait for long, and
the others have to hear so at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from benchmarks.open_loop import Crowd, Outcome, seconds_of
from benchmarks.parts import running_parts
from benchmarks.reports import Report, milliseconds, quantile

LEAST_SHARE = 0.9
"""Of the capacity, or of what was asked where that is less."""
MOST_TURNS = 1.5
"""How many times as long as a full queue takes the slowest of a hundred may take."""
MOST_REFUSED_MS = 50.0


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is run, and for how long."""

    multiples: Sequence[float] = (0.5, 1.0, 2.0, 5.0)
    """Of the measured capacity."""
    seconds: float = 20.0
    warm_up: float = 5.0
    image_seconds: float = 0.2
    slots: int = 4
    """Images drawn at once."""
    depth: int = 40
    """Jobs waiting or running before requests are refused."""


def measure(load: Load) -> Report:
    with running_parts({"NFIG_MAX_QUEUE_DEPTH": str(load.depth)}) as parts:
        parts.start_paced_worker(image_seconds=load.image_seconds, max_generations=load.slots)
        rows = asyncio.run(_run(parts.gateway.port, load))
    return Report(name="overload", parameters=vars(load), rows=rows, verdict=_verdict(rows))


async def _run(port: int, load: Load) -> list[dict[str, Any]]:
    crowd = Crowd(port)
    capacity = await measured_capacity(crowd, load)
    rows = []
    for multiple in load.multiples:
        rate = multiple * capacity
        outcomes = await crowd.come(rate=rate, seconds=load.seconds, warm_up=load.warm_up)
        rows.append(_row(outcomes, multiple, capacity, load))
    await crowd.go()
    return rows


async def measured_capacity(crowd: Crowd, load: Load) -> float:
    """Images per second that all slots together draw, with a caller in waiting for each."""
    clients = min(2 * load.slots, load.depth)
    await crowd.capacity(clients=clients, seconds=load.warm_up / 2)
    return await crowd.capacity(clients=clients, seconds=load.seconds / 2)


def _row(
    outcomes: Sequence[Outcome], multiple: float, capacity: float, load: Load
) -> dict[str, Any]:
    completed = seconds_of(outcomes, completed=True)
    refused = seconds_of(outcomes, completed=False)
    goodput = len(completed) / load.seconds
    return {
        "offered / capacity": multiple,
        "capacity images/s": round(capacity, 2),
        "offered images/s": round(multiple * capacity, 2),
        "completed images/s": round(goodput, 2),
        "completed / possible": round(goodput / (capacity * min(1.0, multiple)), 3),
        "full queue ms": milliseconds(load.depth / capacity),
        "completed p50 ms": milliseconds(quantile(completed, 0.5)),
        "completed p99 ms": milliseconds(quantile(completed, 0.99)),
        "refused": len(refused),
        "refused p99 ms": milliseconds(quantile(refused, 0.99)) if refused else 0.0,
        "refused max ms": milliseconds(max(refused, default=0.0)),
        "failed": len(outcomes) - len(completed) - len(refused),
    }


def _verdict(rows: Sequence[dict[str, Any]]) -> str:
    complaints = []
    for row in rows:
        where = f"at {row['offered / capacity']:g} times the capacity"
        if row["completed / possible"] < LEAST_SHARE:
            complaints.append(f"{where} less is completed than {LEAST_SHARE:.0%} of what could be")
        if row["completed p99 ms"] > MOST_TURNS * row["full queue ms"]:
            complaints.append(f"{where} those that are let in wait longer than the queue is deep")
        if row["refused p99 ms"] > MOST_REFUSED_MS:
            complaints.append(f"{where} refusals take longer than {MOST_REFUSED_MS:g} ms")
        if row["failed"]:
            complaints.append(f"{where} requests fail that were neither completed nor refused")
    demanded = (
        f"demanded: {LEAST_SHARE:.0%} of the capacity completed; the p99 of those within "
        f"{MOST_TURNS:g} times what a full queue takes; the p99 of refusals within "
        f"{MOST_REFUSED_MS:g} ms; nothing failed: "
    )
    return demanded + ("; ".join(complaints) or "met")


def main(
    seconds: Annotated[float, typer.Option(help="Per multiple, after the warm-up.")] = 20.0,
    image_ms: Annotated[float, typer.Option(help="What an image of all bands takes.")] = 200.0,
    slots: Annotated[int, typer.Option(help="Images drawn at once.")] = 4,
    depth: Annotated[int, typer.Option(help="Jobs before requests are refused.")] = 40,
) -> None:
    """Completed and refused work at 0.5, 1, 2 and 5 times the capacity."""
    load = Load(seconds=seconds, image_seconds=image_ms / 1e3, slots=slots, depth=depth)
    measure(load).publish()


if __name__ == "__main__":
    typer.run(main)
