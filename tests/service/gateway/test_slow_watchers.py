"""A connection that nobody reads from, beside one that somebody does, through a real gateway."""

from __future__ import annotations

import asyncio
import socket
import uuid
from dataclasses import replace
from typing import Any

import pytest

from service.domain import JobCompleted
from service.jobs import feeds
from service.jobs.queue import QueueLimits
from service.jobs.redis_connection import connect
from service.jobs.redis_queue import RedisQueue
from service.stack.redis_server import RedisServer
from tests.queue_calls import band, lease_one
from tests.requests import request_of

BANDS = 500
LARGE = 20_000
"""Bytes of an event: all of them together fit into no socket's buffer."""


async def open_stream(url: str, job_id: str) -> socket.socket:
    """Asked for the events, and not read from yet."""
    host, port = url.removeprefix("http://").split(":")
    stream = socket.socket()
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stream.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(stream, (host, int(port)))
    head = f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    await loop.sock_sendall(stream, head.encode())
    return stream


async def read_bands(stream: socket.socket) -> list[int]:
    """The bands that a stream carries, up to its end."""
    loop = asyncio.get_running_loop()
    pieces = []
    with stream:
        while piece := await loop.sock_recv(stream, 1 << 20):
            pieces.append(piece)
    events = b"".join(pieces).split(b"event: ")
    return [
        int(event.partition(b'"band":')[2].partition(b",")[0])
        for event in events
        if event.startswith(b"band.completed")
    ]


async def test_who_does_not_read_slows_nobody_and_misses_nothing(
    listen: Any, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "PLACE_EVENTS", 16)
    left = 0
    leave = feeds.Place.leave

    def counted(self: feeds.Place, error: Exception | None = None) -> None:
        nonlocal left
        left += 1
        leave(self, error)

    monkeypatch.setattr(feeds.Place, "leave", counted)
    queue = RedisQueue(connect(redis_server.url), name=uuid.uuid4().hex, limits=QueueLimits())
    job_id = (await queue.submit(request_of())).id
    lease = await lease_one(queue)
    url = await listen(queue)
    stuck = await open_stream(url, job_id)
    quick = asyncio.create_task(read_bands(await open_stream(url, job_id)))
    await asyncio.sleep(0.2)
    async with asyncio.timeout(30):
        for number in range(BANDS):
            large = replace(band(number), token_digest="t" * LARGE)
            await queue.publish(lease, large, pictures={})
        # Whoever does not keep up has lost its place by now, and goes on in the log.
        assert left > 0
        await queue.finish(lease, JobCompleted())
        assert await quick == list(range(BANDS))
        assert await read_bands(stuck) == list(range(BANDS))
    await queue.close()
