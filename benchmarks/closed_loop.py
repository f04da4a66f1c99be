"""Callers that wait for one image before they ask for the next, for some time."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass

from benchmarks.http_calls import KeptConnection

PATH = "/v1/images/generations"


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What callers side by side got."""

    times: list[float]
    """Seconds of each call."""
    rate: float
    """Images per second."""


async def draw_in_turn(port: int, *, clients: int, seconds: float) -> Finished:
    """The calls that began within the time. The answer to each holds the picture."""
    seeds = itertools.count()
    times: list[float] = []
    connections = [await KeptConnection.open(port) for _ in range(clients)]
    began = time.perf_counter()

    async def one_after_another(connection: KeptConnection) -> None:
        while (start := time.perf_counter()) < began + seconds:
            await connection.post(PATH, {"prompt": "0", "seed": next(seeds)})
            times.append(time.perf_counter() - start)

    await asyncio.gather(*map(one_after_another, connections))
    spent = time.perf_counter() - began
    for connection in connections:
        await connection.close()
    return Finished(times=times, rate=len(times) / spent)
