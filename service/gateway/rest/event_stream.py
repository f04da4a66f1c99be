"""Server-sent events over POST and GET: encoding, keepalive comments, hanging up in order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from prometheus_client import Gauge
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.gateway.rest.connection import ClientGone, while_connected


@dataclass(frozen=True, kw_only=True)
class ServerEvent:
    """One event before it is encoded."""

    name: str
    data: Mapping[str, Any]
    id: str | None = None
    """What a watcher names to go on after this event."""

    def encode(self) -> bytes:
        text = json.dumps(self.data, ensure_ascii=False, separators=(",", ":"))
        return format_sse_event(event=self.name, data_str=text, id=self.id)


class EventStream(Response):
    """Sends events as they come. Closes the generator when the caller goes away."""

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[ServerEvent],
        *,
        keepalive_seconds: float,
        clients: Gauge,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(headers={**(headers or {}), **_STREAM_HEADERS})
        del self.headers["content-length"]
        self._events = events
        self._keepalive_seconds = keepalive_seconds
        self._clients = clients

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._clients.track_inprogress(), suppress(ClientGone):
            await while_connected(receive, self._send_all(send))

    async def _send_all(self, send: Send) -> None:
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        async with aclosing(_chunks(self._events, self._keepalive_seconds)) as chunks:
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


_STREAM_HEADERS = {
    "cache-control": "no-cache",
    # Tells nginx and its kin to pass events on as they come.
    "x-accel-buffering": "no",
}


async def _chunks(
    events: AsyncGenerator[ServerEvent], keepalive_seconds: float
) -> AsyncGenerator[bytes]:
    """Encoded events, with a comment wherever there is none for `keepalive_seconds`."""
    async with aclosing(events):
        coming = asyncio.ensure_future(anext(events))
        try:
            while True:
                done, _ = await asyncio.wait({coming}, timeout=keepalive_seconds)
                if not done:
                    yield KEEPALIVE_COMMENT
                    continue
                try:
                    event = coming.result()
                except StopAsyncIteration:
                    return
                yield event.encode()
                coming = asyncio.ensure_future(anext(events))
        finally:
            # A generator cannot be closed while a step of it is running.
            coming.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration, Exception):
                await coming
