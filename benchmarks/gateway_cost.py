"""`python -m benchmarks.gateway_cost`: the gateway's time on a core, beside bare FastAPI's.

Per `POST /v1/jobs`, and per band that is streamed to one watcher of its own. The bare endpoint
answers the same bytes, in a process of its own, on the same machine, right after the gateway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.bands import leased_jobs, publish_bands
from benchmarks.bare_app import Answers
from benchmarks.http_calls import KeptConnection, Watcher
from benchmarks.parts import Parts, Server, register_fake, running_parts
from benchmarks.process_usage import cpu_seconds
from benchmarks.reports import Report, microseconds

BODY = {"class_label": "red", "seed": 7}
CONNECTIONS = 8
MOST_TIMES_BARE = 3.0


def measure(*, requests: int, streams: int, bands: int, gap_ms: float) -> Report:
    with running_parts() as parts:
        answers = asyncio.run(_seen_answers(parts, bands, gap_ms / 1e3))
        file = parts.folder / "answers.json"
        answers.save(file)
        rows = [
            asyncio.run(_post_row(parts, file, requests)),
            asyncio.run(_stream_row(parts, file, streams=streams, bands=bands, gap_ms=gap_ms)),
        ]
    met = all(row["times"] <= MOST_TIMES_BARE for row in rows)
    return Report(
        name="gateway-cost",
        parameters={"requests": requests, "streams": streams, "bands": bands, "gap_ms": gap_ms},
        rows=rows,
        verdict=f"demanded: at most {MOST_TIMES_BARE:g} times bare FastAPI; met: {met}",
    )


async def _seen_answers(parts: Parts, bands: int, gap_seconds: float) -> Answers:
    """What the gateway answers, seen once by hand; warms it up on the way."""
    queue = parts.queue()
    try:
        await register_fake(queue)
        connection = await KeptConnection.open(parts.gateway.port)
        body = (await connection.post("/v1/jobs", BODY)).decode()
        await connection.close()
        (watcher,) = await _watched(parts, streams=1, bands=bands, gap_seconds=0.001)
    finally:
        await queue.close()
    return Answers(
        body=body, events=[event.text for event in watcher.events()], gap_seconds=gap_seconds
    )


async def _post_row(parts: Parts, file: Path, requests: int) -> dict[str, Any]:
    ours = await _post_cost(parts.gateway, requests)
    bare = parts.start_bare(file)
    theirs = await _post_cost(bare, requests)
    bare.child.stop()
    return _row("POST /v1/jobs", ours, theirs)


async def _post_cost(server: Server, requests: int) -> float:
    async def post(connection: KeptConnection, count: int) -> None:
        for _ in range(count):
            await connection.post("/v1/jobs", BODY)

    connections = [await KeptConnection.open(server.port) for _ in range(CONNECTIONS)]
    await asyncio.gather(*(post(each, max(1, requests // 50)) for each in connections))
    share = -(-requests // CONNECTIONS)
    used = _stopwatch(server)
    await asyncio.gather(*(post(each, share) for each in connections))
    seconds = used()
    for connection in connections:
        await connection.close()
    return seconds / (share * CONNECTIONS)


async def _stream_row(
    parts: Parts, file: Path, *, streams: int, bands: int, gap_ms: float
) -> dict[str, Any]:
    used = _stopwatch(parts.gateway)
    watchers = await _watched(parts, streams=streams, bands=bands, gap_seconds=gap_ms / 1e3)
    ours = used() / sum(len(watcher.events()) for watcher in watchers)
    bare = parts.start_bare(file)
    used = _stopwatch(bare)
    others = [await Watcher.open(bare.port, "/v1/jobs/x/events") for _ in range(streams)]
    await asyncio.gather(*(each.ended for each in others))
    theirs = used() / sum(len(watcher.events()) for watcher in others)
    bare.child.stop()
    return _row("streamed band", ours, theirs)


async def _watched(parts: Parts, *, streams: int, bands: int, gap_seconds: float) -> list[Watcher]:
    """A job per stream, drawn by hand at the pace that is wanted, and watched to its end."""
    queue = parts.queue()
    try:
        leases = await leased_jobs(queue, streams)
        watchers = [
            await Watcher.open(parts.gateway.port, f"/v1/jobs/{lease.job.id}/events")
            for lease in leases
        ]
        await asyncio.gather(*(each.began for each in watchers))
        await publish_bands(queue, leases, bands=bands, gap_seconds=gap_seconds)
        await asyncio.gather(*(each.ended for each in watchers))
    finally:
        await queue.close()
    return watchers


def _stopwatch(server: Server) -> Callable[[], float]:
    """Called, it tells the time on a core since now."""
    before = cpu_seconds(server.pid)
    return lambda: cpu_seconds(server.pid) - before


def _row(what: str, ours: float, bare: float) -> dict[str, Any]:
    return {
        "per": what,
        "gateway us": microseconds(ours),
        "bare us": microseconds(bare),
        "times": round(ours / max(bare, 1e-9), 2),
    }


def main(
    requests: Annotated[int, typer.Option(help="Jobs created.")] = 5000,
    streams: Annotated[int, typer.Option(help="Streams at once, of a job each.")] = 32,
    bands: Annotated[int, typer.Option(help="Bands of each stream.")] = 300,
    gap_ms: Annotated[float, typer.Option(help="Time between two bands of a stream.")] = 50.0,
) -> None:
    """Time on a core per request and per band, beside bare FastAPI."""
    measure(requests=requests, streams=streams, bands=bands, gap_ms=gap_ms).publish()


if __name__ == "__main__":
    typer.run(main)
