"""`python -m benchmarks.per_image`: what one image costs each part of the service.

Callers draw one image after another by `POST /v1/images/generations` and get its description; the
picture stays in Redis, for as long as results are kept. Counted are time on a core of each process,
commands of Redis, those inside scripts included, and the memory by which Redis grows.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.closed_loop import PATH
from benchmarks.drawers import Drawers, drawers
from benchmarks.http_calls import KeptConnection
from benchmarks.parts import Parts, running_parts
from benchmarks.process_usage import cpu_seconds
from benchmarks.reports import Report, microseconds
from service.jobs.redis_connection import connect
from service.stack.choice import EngineName

WARM_UP = 0.2
"""Share of the images that are drawn before anything is counted."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What has been used so far."""

    gateway: float
    worker: float
    engine: float
    redis: float
    commands: int
    memory: int


def measure(*, images: int, clients: int, fake: bool) -> Report:
    engine: EngineName = "fake" if fake else "triton"
    with running_parts() as parts, drawers(parts, engine) as who:
        row = asyncio.run(_run(parts, who, images, clients))
    parameters = {"images": images, "clients": clients, "engine": engine}
    return Report(name="per-image", parameters=parameters, rows=[row])


async def _run(parts: Parts, who: Drawers, images: int, clients: int) -> dict[str, Any]:
    connections = [await KeptConnection.open(parts.gateway.port) for _ in range(clients)]
    seeds = itertools.count()

    async def draw(count: int) -> None:
        async def one_after_another(connection: KeptConnection) -> None:
            while next(left, None) is not None:
                body = {"prompt": "0", "seed": next(seeds), "response_format": "url"}
                await connection.post(PATH, body)

        left = iter(range(count))
        await asyncio.gather(*map(one_after_another, connections))

    await draw(max(clients, round(images * WARM_UP)))
    before, began = await _counts(parts, who), time.perf_counter()
    await draw(images)
    seconds, after = time.perf_counter() - began, await _counts(parts, who)
    for connection in connections:
        await connection.close()
    return {
        "images/s": round(images / seconds, 2),
        "gateway us": microseconds((after.gateway - before.gateway) / images),
        "worker us": microseconds((after.worker - before.worker) / images),
        "engine us": microseconds((after.engine - before.engine) / images),
        "Redis us": microseconds((after.redis - before.redis) / images),
        "Redis commands": round((after.commands - before.commands) / images, 1),
        "Redis bytes": round((after.memory - before.memory) / images),
    }


async def _counts(parts: Parts, who: Drawers) -> Counts:
    redis = connect(parts.redis_url)
    facts = await redis.info()
    await redis.aclose()
    return Counts(
        gateway=cpu_seconds(parts.gateway.pid),
        worker=cpu_seconds(who.worker),
        engine=sum(map(cpu_seconds, _group(who.triton))) if who.triton else 0.0,
        redis=facts["used_cpu_user"] + facts["used_cpu_sys"],
        commands=facts["total_commands_processed"],
        memory=facts["used_memory"],
    )


def _group(leader: int) -> list[int]:
    """Triton and the processes of its models, which live in its group."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        # Others come and go meanwhile.
        try:
            if os.getpgid(pid) == leader:
                found.append(pid)
        except ProcessLookupError:
            continue
    return found


def main(
    images: Annotated[int, typer.Option(help="Drawn and counted, after a warm-up.")] = 500,
    clients: Annotated[int, typer.Option(help="Callers at once.")] = 16,
    fake: Annotated[bool, typer.Option(help="Coloured discs, without Triton.")] = False,
) -> None:
    """Time, commands and memory per image, by process."""
    measure(images=images, clients=clients, fake=fake).publish()


if __name__ == "__main__":
    typer.run(main)
