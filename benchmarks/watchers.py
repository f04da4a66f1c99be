"""`python -m benchmarks.watchers`: many who watch at once, through one gateway.

Bands are logged by hand at a fixed pace, each job out of step with the others. Every watcher must
see every band of its job once and in order; the delay is from the moment at which the band is
handed to the queue to the moment at which its bytes reach the watcher.
"""

from __future__ import annotations

import asyncio
import gc
import resource
from typing import Annotated, Any

import typer

from benchmarks.bands import Publications, leased_jobs, publish_bands
from benchmarks.http_calls import Watcher
from benchmarks.parts import Parts, running_parts
from benchmarks.process_usage import cpu_seconds, resident_bytes
from benchmarks.reports import Report, microseconds, milliseconds, quantile

SPARE_FILES = 200
WARM_UP = 20
"""Watchers that come and go before memory is first looked at."""
OPENING = 50
"""Watchers that connect at the same moment."""


def measure(*, watchers: int, jobs: int, bands: int, gap_ms: float) -> Report:
    _allow_files(watchers + SPARE_FILES)
    with running_parts() as parts:
        row = asyncio.run(_run(parts, watchers, jobs, bands, gap_ms / 1e3))
    return Report(
        name="watchers",
        parameters={"watchers": watchers, "jobs": jobs, "bands": bands, "gap_ms": gap_ms},
        rows=[row],
        verdict=f"demanded: every band delivered; met: {row['missed'] == 0}",
    )


async def _run(
    parts: Parts, watchers: int, jobs: int, bands: int, gap_seconds: float
) -> dict[str, Any]:
    queue = parts.queue()
    pid = parts.gateway.pid
    try:
        first = await leased_jobs(queue, 1)
        opened = await _open(parts, [first[0].job.id] * WARM_UP)
        await publish_bands(queue, first, bands=bands, gap_seconds=0.001)
        await asyncio.gather(*(each.ended for each in opened))
        leases = await leased_jobs(queue, jobs)
        empty = resident_bytes(pid)
        ids = [leases[index % jobs].job.id for index in range(watchers)]
        opened = await _open(parts, ids)
        gc.freeze()  # or our own pauses, with so many watchers here too, would count as delays
        full, cpu = resident_bytes(pid), cpu_seconds(pid)
        published = await publish_bands(queue, leases, bands=bands, gap_seconds=gap_seconds)
        await asyncio.gather(*(each.ended for each in opened))
        cpu = cpu_seconds(pid) - cpu
    finally:
        await queue.close()
    delays, missed = _judge(opened, ids, published, bands)
    return {
        "watchers": watchers,
        "bands": len(delays),
        "missed": missed,
        "p50 ms": milliseconds(quantile(delays, 0.5)),
        "p99 ms": milliseconds(quantile(delays, 0.99)),
        "max ms": milliseconds(max(delays)),
        "KiB/watcher": round((full - empty) / watchers / 1024, 1),
        "gateway us/band": microseconds(cpu / len(delays)),
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


def _judge(
    opened: list[Watcher], job_ids: list[str], published: Publications, bands: int
) -> tuple[list[float], int]:
    """Delays of all bands that came, and how many did not, or not once and in order."""
    delays: list[float] = []
    missed = 0
    for watcher, job_id in zip(opened, job_ids, strict=True):
        came = [event for event in watcher.events() if event.name == "band.completed"]
        numbers = [event.data["band"] for event in came]
        delays += [
            event.at - published.of(job_id, number)
            for event, number in zip(came, numbers, strict=True)
        ]
        if numbers != list(range(bands)):
            missed += max(1, bands - len(set(numbers)))
    return delays, missed


def _allow_files(count: int) -> None:
    """A connection is an open file, here and in the gateway, which inherits the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


def main(
    watchers: Annotated[int, typer.Option(help="Streams at once.")] = 1000,
    jobs: Annotated[int, typer.Option(help="Jobs that they watch.")] = 50,
    bands: Annotated[int, typer.Option(help="Bands of each job.")] = 20,
    gap_ms: Annotated[float, typer.Option(help="Time between two bands of a job.")] = 500.0,
) -> None:
    """Delivery, delay and memory with many watchers."""
    measure(watchers=watchers, jobs=jobs, bands=bands, gap_ms=gap_ms).publish()


if __name__ == "__main__":
    typer.run(main)
