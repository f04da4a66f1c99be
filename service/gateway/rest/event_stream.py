"""Server-sent events over POST and GET: encoding, keepalive comments, hanging up in order."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from prometheus_client import Gauge
from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.gateway.drain import Drain, Leaving
from service.gateway.rest.connection import ClientGone, while_connected

RECONNECT_MS = (100, 1000)
"""Within which watchers come back elsewhere when this gateway stops."""


@dataclass(frozen=True, kw_only=True)
class ServerEvent:
    """One event before it is encoded."""

    name: str
    data: Mapping[str, Any]
    id: str | None = None
    """What a watcher names to go on after this event."""

    def encode(self) -> bytes:
        return format_sse_event(event=self.name, data_str=to_json(self.data).decode(), id=self.id)


class EventStream(Response):
    """Sends events as they come. Closes the generator when the caller goes away."""

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[ServerEvent],
        *,
        keepalive_seconds: float,
        clients: Gauge,
        drain: Drain | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """With a `drain` the stream is one that its watcher can go on with elsewhere."""
        super().__init__(headers={**(headers or {}), **_STREAM_HEADERS})
        del self.headers["content-length"]
        self._events = events
        self._keepalive_seconds = keepalive_seconds
        self._clients = clients
        self._drain = drain
        self._sent_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._clients.track_inprogress(), suppress(ClientGone):
            await while_connected(receive, self._send_all(send))

    async def _send_all(self, send: Send) -> None:
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        try:
            async with self._drain.cut_short() if self._drain else nullcontext():
                await self._send_events(send)
        except Leaving:
            await _send_piece(send, _farewell())
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_events(self, send: Send) -> None:
        self._sent_at = time.monotonic()
        pinging = asyncio.create_task(self._ping(send))
        try:
            async with aclosing(self._events) as events:
                async for event in events:
                    self._sent_at = time.monotonic()
                    await _send_piece(send, event.encode())
        finally:
            pinging.cancel()
            await asyncio.gather(pinging, return_exceptions=True)

    async def _ping(self, send: Send) -> None:
        """A comment wherever there is no event for `keepalive_seconds`."""
        # Beside the events, not around each: a task and a timer per event cost more than the event.
        while True:
            due = self._sent_at + self._keepalive_seconds
            if (left := due - time.monotonic()) > 0:
                await asyncio.sleep(left)
                continue
            self._sent_at = time.monotonic()
            await _send_piece(send, KEEPALIVE_COMMENT)


_STREAM_HEADERS = {
    "cache-control": "no-cache",
    # Tells nginx and its kin to pass events on as they come.
    "x-accel-buffering": "no",
}


def _farewell() -> bytes:
    """What a watcher is told who is to come back elsewhere; not all at the same moment."""
    retry_ms = random.randint(*RECONNECT_MS)  # noqa: S311 (no secret)
    return f": this gateway is stopping; go on at another\nretry: {retry_ms}\n\n".encode()


async def _send_piece(send: Send, piece: bytes) -> None:
    await send({"type": "http.response.body", "body": piece, "more_body": True})
