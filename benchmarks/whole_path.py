"""`python -m benchmarks.whole_path`: the whole service beside the model in one process.

One request at a time: HTTP, Redis, worker, Triton and back, beside the same image drawn by this
process; the two take turns, image by image. At saturation: so many callers that the engine is
never idle, beside the engine alone at its best batch size, in turns as well.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Annotated, Any

import typer

from benchmarks.closed_loop import PATH, draw_in_turn
from benchmarks.drawers import ModelEngine, drawers
from benchmarks.engine_alone import BATCH_SIZES, EngineAlone
from benchmarks.http_calls import KeptConnection
from benchmarks.parts import running_parts
from benchmarks.reports import Report, milliseconds
from service.settings import WorkerSettings

MOST_TIMES = 1.3
"""What one request may take, as a multiple of the engine alone."""
LEAST_SHARE = 0.85
"""Of the engine's own rate, at saturation."""
WARM_UP = 5


def measure(*, images: int, seconds: float, rounds: int, engine: ModelEngine) -> Report:
    alone = EngineAlone.load()
    with running_parts() as parts, drawers(parts, engine):
        port = parts.gateway.port
        rows = [asyncio.run(_single(alone, port, images)), _saturated(alone, port, seconds, rounds)]
    parameters = {"images": images, "seconds": seconds, "rounds": rounds, "engine": engine}
    return Report(name="whole-path", parameters=parameters, rows=rows, verdict=_verdict(rows))


async def _single(alone: EngineAlone, port: int, images: int) -> dict[str, Any]:
    """Medians, and the median of each pair's ratio."""
    connection = await KeptConnection.open(port)
    pairs = []
    for seed in range(WARM_UP + images):
        engine_time = alone.seconds(1)
        began = time.perf_counter()
        await connection.post(PATH, {"prompt": "0", "seed": seed})
        pairs.append((engine_time, time.perf_counter() - began))
    await connection.close()
    counted = pairs[WARM_UP:]
    return {
        "measured": "one request, ms",
        "engine alone": milliseconds(median(engine for engine, _ in counted)),
        "whole path": milliseconds(median(path for _, path in counted)),
        "path / engine": round(median(path / engine for engine, path in counted), 3),
    }


def _saturated(alone: EngineAlone, port: int, seconds: float, rounds: int) -> dict[str, Any]:
    """Medians of the turns; two callers for every image that the worker draws at once."""
    clients = 2 * int(WorkerSettings.model_fields["max_generations"].default)
    asyncio.run(draw_in_turn(port, clients=clients, seconds=seconds / 4))
    turns = []
    for _ in range(rounds):
        rates = [alone.rate(batch, seconds=seconds / len(BATCH_SIZES)) for batch in BATCH_SIZES]
        path = asyncio.run(draw_in_turn(port, clients=clients, seconds=seconds))
        turns.append((rates, path.rate))
    by_batch = [median(rates) for rates in zip(*(rates for rates, _ in turns), strict=True)]
    path_rate = median(rate for _, rate in turns)
    return {
        "measured": "saturated, images/s",
        "engine alone": round(max(by_batch), 2),
        "whole path": round(path_rate, 2),
        "path / engine": round(path_rate / max(by_batch), 3),
    }


def _verdict(rows: Sequence[Mapping[str, Any]]) -> str:
    single, saturated = (row["path / engine"] for row in rows)
    met = single <= MOST_TIMES and saturated >= LEAST_SHARE
    return (
        f"demanded: one request at most {MOST_TIMES:g} times the engine alone, "
        f"at saturation at least {LEAST_SHARE:.0%} of it; met: {met}"
    )


def main(
    images: Annotated[int, typer.Option(help="Single requests.")] = 100,
    seconds: Annotated[float, typer.Option(help="Of each turn at saturation.")] = 20.0,
    rounds: Annotated[int, typer.Option(help="Turns that each takes at saturation.")] = 3,
    engine: Annotated[ModelEngine, typer.Option(help="The service's: triton or torch.")] = "triton",
) -> None:
    """One request and a full service, beside the model in one process."""
    measure(images=images, seconds=seconds, rounds=rounds, engine=engine).publish()


if __name__ == "__main__":
    typer.run(main)
