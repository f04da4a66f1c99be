"""`python -m benchmarks.gateway_cost`: the gateway's time on a core, beside bare FastAPI's.

Per `POST /v1/jobs`, and per band that is streamed to one watcher of its own. The bare endpoint
answers the same bytes, in a process of its own, on the same machine. The two take turns, so that
whatever slows the machine for a while slows both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from statistics import median
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
_OF_THE_SERVER = ("date", "connection", "transfer-encoding", "content-length")
"""Headers that uvicorn and Starlette write themselves."""

Cost = Callable[[], Awaitable[float]]


def measure(*, requests: int, streams: int, bands: int, gap_ms: float, rounds: int) -> Report:
    with running_parts() as parts:
        gap = gap_ms / 1e3
        file = parts.folder / "answers.json"
        asyncio.run(_seen_answers(parts, bands, gap)).save(file)
        bare = parts.start_bare(file)
        per_round = -(-requests // rounds)
        costs: dict[str, tuple[Cost, Cost]] = {
            "POST /v1/jobs": (
                lambda: _post_cost(parts.gateway, per_round),
                lambda: _post_cost(bare, per_round),
            ),
            "streamed band": (
                lambda: _stream_cost(parts, streams=streams, bands=bands, gap_seconds=gap),
                lambda: _bare_stream_cost(bare, streams),
            ),
        }
        rows = [asyncio.run(_row(per, *pair, rounds)) for per, pair in costs.items()]
    met = all(row["times"] <= MOST_TIMES_BARE for row in rows)
    return Report(
        name="gateway-cost",
        parameters={
            "requests": requests,
            "streams": streams,
            "bands": bands,
            "gap_ms": gap_ms,
            "rounds": rounds,
        },
        rows=rows,
        verdict=f"demanded: at most {MOST_TIMES_BARE:g} times bare FastAPI; met: {met}",
    )


async def _seen_answers(parts: Parts, bands: int, gap_seconds: float) -> Answers:
    """What the gateway answers, seen once by hand; warms it up on the way."""
    queue = parts.queue()
    try:
        await register_fake(queue)
        connection = await KeptConnection.open(parts.gateway.port)
        answer = await connection.post("/v1/jobs", BODY)
        await connection.close()
        (watcher,) = await _watched(parts, streams=1, bands=bands, gap_seconds=0.001)
    finally:
        await queue.close()
    return Answers(
        headers=_own(answer.headers),
        body=answer.body.decode(),
        stream_headers=_own(watcher.headers),
        events=[event.text for event in watcher.events()],
        gap_seconds=gap_seconds,
    )


def _own(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in headers.items() if name not in _OF_THE_SERVER}


async def _row(per: str, ours: Cost, bare: Cost, rounds: int) -> dict[str, Any]:
    """Medians over the rounds."""
    pairs = [(await ours(), await bare()) for _ in range(rounds)]
    return {
        "per": per,
        "gateway us": microseconds(median(cost for cost, _ in pairs)),
        "bare us": microseconds(median(cost for _, cost in pairs)),
        "times": round(median(cost / other for cost, other in pairs), 2),
    }


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


async def _stream_cost(parts: Parts, *, streams: int, bands: int, gap_seconds: float) -> float:
    used = _stopwatch(parts.gateway)
    watchers = await _watched(parts, streams=streams, bands=bands, gap_seconds=gap_seconds)
    return used() / sum(len(watcher.events()) for watcher in watchers)


async def _bare_stream_cost(bare: Server, streams: int) -> float:
    used = _stopwatch(bare)
    watchers = [await Watcher.open(bare.port, "/v1/jobs/x/events") for _ in range(streams)]
    await asyncio.gather(*(each.ended for each in watchers))
    return used() / sum(len(watcher.events()) for watcher in watchers)


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


def main(
    requests: Annotated[int, typer.Option(help="Jobs created.")] = 9000,
    streams: Annotated[int, typer.Option(help="Streams at once, of a job each.")] = 32,
    bands: Annotated[int, typer.Option(help="Bands of each stream.")] = 300,
    gap_ms: Annotated[float, typer.Option(help="Time between two bands of a stream.")] = 50.0,
    rounds: Annotated[int, typer.Option(help="Turns that each of the two takes.")] = 3,
) -> None:
    """Time on a core per request and per band, beside bare FastAPI."""
    report = measure(requests=requests, streams=streams, bands=bands, gap_ms=gap_ms, rounds=rounds)
    report.publish()


if __name__ == "__main__":
    typer.run(main)
