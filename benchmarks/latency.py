"""`python -m benchmarks.latency`: what the whole path adds to the time of the engine alone.

The engine alone: so many callers at once, each drawing one image after another in this process,
up to its pixels.
The whole path: as many HTTP clients, gateway, Redis and a worker with the same engine. A call is
over when the picture is there. The difference of two quantiles is what the service adds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from benchmarks.http_calls import KeptConnection
from benchmarks.parts import running_parts
from benchmarks.reports import Report, milliseconds, quantile
from service.domain import Sampling
from service.engine.engine import Generation
from service.engine.fake_engine import FAKE_CARD, FakeEngine

Call = Callable[[int], Awaitable[object]]
"""Draws the image of a seed."""
WARM_UP = 3


def measure(*, clients: list[int], images: int, band_ms: float) -> Report:
    """`images` per client, at each number of clients."""
    with running_parts() as parts:
        parts.start_worker(band_seconds=band_ms / 1e3, max_generations=max(clients))
        rows = [
            asyncio.run(_compare(parts.gateway.port, count, images, band_ms / 1e3))
            for count in clients
        ]
    return Report(
        name="latency",
        parameters={"clients": clients, "images_per_client": images, "band_ms": band_ms},
        rows=rows,
    )


async def _compare(port: int, clients: int, images: int, band_seconds: float) -> dict[str, Any]:
    engine = FakeEngine(band_seconds=band_seconds)
    await engine.start()
    alone, _ = await _timed([_engine_call(engine)] * clients, images)
    await engine.close()
    connections = [await KeptConnection.open(port) for _ in range(clients)]
    whole, seconds = await _timed([_http_call(each) for each in connections], images)
    for connection in connections:
        await connection.close()
    row: dict[str, Any] = {"clients": clients}
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        engine_time, path_time = quantile(alone, share), quantile(whole, share)
        row[f"engine {name} ms"] = milliseconds(engine_time)
        row[f"path {name} ms"] = milliseconds(path_time)
        row[f"added {name} ms"] = milliseconds(path_time - engine_time)
    row["images/s"] = round(len(whole) / seconds, 1)
    return row


async def _timed(calls: list[Call], images: int) -> tuple[list[float], float]:
    """The time of every call, callers side by side, and of all together."""

    async def one_after_another(caller: int, call: Call) -> list[float]:
        times = []
        for number in range(-WARM_UP, images):
            began = time.perf_counter()
            await call(caller * 1_000_000 + number + WARM_UP)
            if number >= 0:
                times.append(time.perf_counter() - began)
        return times

    began = time.perf_counter()
    times = await asyncio.gather(*(one_after_another(*each) for each in enumerate(calls)))
    seconds = (time.perf_counter() - began) * images / (images + WARM_UP)
    return [each for of_one in times for each in of_one], seconds


def _engine_call(engine: FakeEngine) -> Call:
    card = FAKE_CARD
    sampling = Sampling(
        guidance_scale=card.guidance_scale,
        top_k=card.top_k,
        top_p=card.top_p,
        temperature=card.temperature,
    )

    async def draw(seed: int) -> None:
        generation = Generation(
            class_label=0, seed=seed, image_index=0, sampling=sampling, bands=card.num_bands
        )
        bands = [band async for band in engine.draw(generation)]
        await engine.decode(bands[-1].canvas, preview_of=None)

    return draw


def _http_call(connection: KeptConnection) -> Call:
    async def draw(seed: int) -> None:
        await connection.post("/v1/images/generations", {"prompt": "red", "seed": seed})

    return draw


def main(
    clients: Annotated[list[int] | None, typer.Option(help="Callers at once.")] = None,
    images: Annotated[int, typer.Option(help="Images per caller.")] = 100,
    band_ms: Annotated[float, typer.Option(help="What the fake engine takes per band.")] = 50.0,
) -> None:
    """Added latency over the engine alone."""
    measure(clients=clients or [1, 32], images=images, band_ms=band_ms).publish()


if __name__ == "__main__":
    typer.run(main)
