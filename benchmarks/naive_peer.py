"""`python -m benchmarks.naive_peer`: the service beside the server that people write first.

Both draw with the same model in the same engine on the same machine, for as many callers at once.
The naive one draws one image after another; what batches are worth is measured in the engine
itself, and the service has to hand on most of it, with every job written to disk by Redis.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Annotated, Any

import typer

from benchmarks.closed_loop import Finished, draw_in_turn
from benchmarks.drawers import ModelEngine, drawers
from benchmarks.engine_alone import BATCH_SIZES, EngineAlone
from benchmarks.parts import running_parts
from benchmarks.reports import Report, milliseconds, quantile

LEAST_SHARE = 0.85
"""Of what the engine gains from one image at a time to its best batch."""


def measure(*, clients: int, seconds: float, rounds: int, engine: ModelEngine) -> Report:
    alone = EngineAlone.load()
    rates: dict[int, list[float]] = {batch: [] for batch in BATCH_SIZES}
    naive, ours = list[Finished](), list[Finished]()
    with running_parts() as parts, drawers(parts, engine):
        ports = parts.start_naive().port, parts.gateway.port
        for _ in range(rounds):
            for batch, found in rates.items():
                found.append(alone.rate(batch, seconds=seconds / len(rates)))
            for port, turns in zip(ports, (naive, ours), strict=True):
                calls = draw_in_turn(port, clients=clients, seconds=seconds)
                turns.append(asyncio.run(calls))
    by_batch = {batch: median(found) for batch, found in rates.items()}
    rows = [*_engine_rows(by_batch), _row("naive peer", naive), _row("service", ours)]
    parameters = {"clients": clients, "seconds": seconds, "rounds": rounds, "engine": engine}
    name = "naive-peer-triton" if engine == "triton" else "naive-peer"
    return Report(name=name, parameters=parameters, rows=rows, verdict=_verdict(by_batch, rows))


def _engine_rows(by_batch: Mapping[int, float]) -> list[dict[str, Any]]:
    return [
        {
            "who": f"engine, batch {batch}",
            "images/s": round(rate, 2),
            "p50 ms": milliseconds(batch / rate),
            "p99 ms": None,
        }
        for batch, rate in by_batch.items()
    ]


def _row(who: str, turns: Sequence[Finished]) -> dict[str, Any]:
    times = [seconds for turn in turns for seconds in turn.times]
    return {
        "who": who,
        "images/s": round(median(turn.rate for turn in turns), 2),
        "p50 ms": milliseconds(quantile(times, 0.5)),
        "p99 ms": milliseconds(quantile(times, 0.99)),
    }


def _verdict(by_batch: Mapping[int, float], rows: Sequence[Mapping[str, Any]]) -> str:
    naive, ours = rows[-2:]
    best = max(by_batch, key=lambda batch: by_batch[batch])
    engine_gain = by_batch[best] / by_batch[1]
    gain = ours["images/s"] / naive["images/s"]
    met = gain >= LEAST_SHARE * engine_gain and ours["p99 ms"] < naive["p99 ms"]
    return (
        f"the engine gains {engine_gain:.2f} times from batch 1 to {best}, the service {gain:.2f} "
        f"times over its naive peer, {gain / engine_gain:.0%} of it; demanded: at least "
        f"{LEAST_SHARE:.0%} of it and a lower p99; met: {met}"
    )


def main(
    clients: Annotated[int, typer.Option(help="Callers at once.")] = 16,
    seconds: Annotated[float, typer.Option(help="Of each turn.")] = 20.0,
    rounds: Annotated[int, typer.Option(help="Turns that each takes.")] = 3,
    engine: Annotated[
        ModelEngine, typer.Option(help="The service's: torch, as its peer's, or triton.")
    ] = "torch",
) -> None:
    """Images per second and times of calls, beside one process with the model behind a lock."""
    measure(clients=clients, seconds=seconds, rounds=rounds, engine=engine).publish()


if __name__ == "__main__":
    typer.run(main)
