"""`python -m benchmarks.watchers`: many who watch at once, through one gateway.

Bands are logged by hand at a fixed pace, each job out of step with the others. Every watcher must
see every band of its job once and in order; the delay is from the moment at which the band is
handed to the queue to the moment at which its bytes reach the watcher.
"""

from __future__ import annotations

import asyncio
import gc
import resource
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import grpc
import typer

from benchmarks.bands import Publications, leased_jobs, publish_bands
from benchmarks.http_calls import Watcher
from benchmarks.parts import Parts, running_parts
from benchmarks.process_usage import cpu_seconds, resident_bytes
from benchmarks.reports import Report, microseconds, milliseconds, quantile
from benchmarks.rpc_calls import RpcWatcher
from service.stack.processes import HOST

SPARE_FILES = 200
WARM_UP = 20
"""Watchers that come and go before memory is first looked at."""
OPENING = 50
"""Watchers that connect at the same moment."""

Door = Callable[[Parts, list[str]], Awaitable[Sequence[Watcher | RpcWatcher]]]


@dataclass(kw_only=True)
class Crowd:
    """All who watch through one door."""

    door: str
    watchers: Sequence[Watcher | RpcWatcher]
    job_ids: Sequence[str]
    kib: float
    """Memory of the gateway per watcher."""


def measure(*, watchers: int, rpc_watchers: int, jobs: int, bands: int, gap_ms: float) -> Report:
    _allow_files(watchers + SPARE_FILES)
    with running_parts() as parts:
        rows = asyncio.run(_run(parts, [watchers, rpc_watchers], jobs, bands, gap_ms / 1e3))
    missed = sum(row["missed"] for row in rows)
    return Report(
        name="watchers",
        parameters={"jobs": jobs, "bands": bands, "gap_ms": gap_ms},
        rows=rows,
        verdict=f"demanded: every band delivered; met: {missed == 0}",
    )


async def _run(
    parts: Parts, counts: list[int], jobs: int, bands: int, gap_seconds: float
) -> list[dict[str, Any]]:
    queue = parts.queue()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(queue.close)
        doors: dict[str, Door] = {"SSE": _open, "gRPC": partial(_open_rpc, stack)}
        first = await leased_jobs(queue, 1)
        warm = [await door(parts, [first[0].job.id] * WARM_UP) for door in doors.values()]
        await publish_bands(queue, first, bands=bands, gap_seconds=0.001)
        await asyncio.gather(*(each.ended for crowd in warm for each in crowd))
        leases = await leased_jobs(queue, jobs)
        crowds = []
        for (name, door), count in zip(doors.items(), counts, strict=True):
            ids = [leases[index % jobs].job.id for index in range(count)]
            empty = resident_bytes(parts.gateway.pid)
            joined = await door(parts, ids)
            kib = (resident_bytes(parts.gateway.pid) - empty) / max(count, 1) / 1024
            crowds.append(Crowd(door=name, watchers=joined, job_ids=ids, kib=kib))
        gc.freeze()  # or our own pauses, with so many watchers here too, would count as delays
        cpu = cpu_seconds(parts.gateway.pid)
        published = await publish_bands(queue, leases, bands=bands, gap_seconds=gap_seconds)
        await asyncio.gather(*(each.ended for crowd in crowds for each in crowd.watchers))
        cpu = (cpu_seconds(parts.gateway.pid) - cpu) / (bands * sum(counts))
    return [_row(crowd, published, bands, cpu) for crowd in crowds if crowd.watchers]


def _row(crowd: Crowd, published: Publications, bands: int, cpu: float) -> dict[str, Any]:
    delays, missed = _judge(crowd, published, bands)
    return {
        "door": crowd.door,
        "watchers": len(crowd.watchers),
        "bands": len(delays),
        "missed": missed,
        "p50 ms": milliseconds(quantile(delays, 0.5)),
        "p99 ms": milliseconds(quantile(delays, 0.99)),
        "max ms": milliseconds(max(delays)),
        "KiB/watcher": round(crowd.kib, 1),
        "gateway us/band, all doors": microseconds(cpu),
    }


async def _open(parts: Parts, job_ids: list[str]) -> list[Watcher]:
    """One watcher per id; each has begun to read when this returns."""
    opened: list[Watcher] = []
    for start in range(0, len(job_ids), OPENING):
        batch = [
            await Watcher.open(parts.gateway.port, f"/v1/jobs/{job_id}/events")
            for job_id in job_ids[start : start + OPENING]
        ]
        await asyncio.gather(*(each.began for each in batch))
        opened += batch
    # The first bytes are the answer's head; the log is joined a moment later.
    await asyncio.sleep(0.5)
    return opened


async def _open_rpc(stack: AsyncExitStack, parts: Parts, job_ids: list[str]) -> list[RpcWatcher]:
    """The same over gRPC, as many streams to a connection as are opened at once."""
    opened: list[RpcWatcher] = []
    for start in range(0, len(job_ids), OPENING):
        # Channels to one address would share a connection.
        options = [("grpc.use_local_subchannel_pool", 1)]
        target = f"{HOST}:{parts.gateway.grpc_port}"
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(target, options))
        ids = job_ids[start : start + OPENING]
        batch = [RpcWatcher.open(channel, job_id) for job_id in ids]
        await asyncio.gather(*(each.began for each in batch))
        opened += batch
    return opened


def _judge(crowd: Crowd, published: Publications, bands: int) -> tuple[list[float], int]:
    """Delays of all bands that came, and how many did not, or not once and in order."""
    delays: list[float] = []
    missed = 0
    for watcher, job_id in zip(crowd.watchers, crowd.job_ids, strict=True):
        came = watcher.bands()
        numbers = [number for number, _ in came]
        delays += [at - published.of(job_id, number) for number, at in came]
        if numbers != list(range(bands)):
            missed += max(1, bands - len(set(numbers)))
    return delays, missed


def _allow_files(count: int) -> None:
    """A connection is an open file, here and in the gateway, which inherits the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


def main(
    watchers: Annotated[int, typer.Option(help="Streams of server-sent events at once.")] = 1000,
    rpc_watchers: Annotated[int, typer.Option(help="Calls of WatchJob beside them.")] = 200,
    jobs: Annotated[int, typer.Option(help="Jobs that they watch.")] = 50,
    bands: Annotated[int, typer.Option(help="Bands of each job.")] = 20,
    gap_ms: Annotated[float, typer.Option(help="Time between two bands of a job.")] = 500.0,
) -> None:
    """Delivery, delay and memory with many watchers."""
    report = measure(
        watchers=watchers, rpc_watchers=rpc_watchers, jobs=jobs, bands=bands, gap_ms=gap_ms
    )
    report.publish()


if __name__ == "__main__":
    typer.run(main)
