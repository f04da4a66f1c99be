"""What both clients hand to httpx, and what they make of what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from nfig_client.calls import Answer, Call
from nfig_client.connection import Connection
from nfig_client.errors import ConnectionLostError

SILENCE_SECONDS = 60.0
"""A stream that sends not even a comment for so long is dead: the service sends one every 15 s."""

LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20)
"""Every watcher holds a connection, and how many watch is the caller's to say."""


def request_of(call: Call, connection: Connection) -> dict[str, Any]:
    """The arguments of `httpx.Client.request`."""
    headers = {**connection.headers(call.url), **call.headers}
    return {"method": call.method, "url": call.url, "headers": headers, "json": call.body}


def stream_timeout(timeout_seconds: float) -> httpx.Timeout:
    return httpx.Timeout(timeout_seconds, read=SILENCE_SECONDS)


def answer_of(response: httpx.Response) -> Answer:
    """Of a response whose content was read."""
    headers: Mapping[str, str] = response.headers
    return Answer(status=response.status_code, headers=headers, content=response.content)


def lost(error: httpx.TransportError, call: Call) -> ConnectionLostError:
    reason = str(error) or type(error).__name__
    failure = ConnectionLostError(f"no answer from {call.url}: {reason}")
    failure.retryable = not isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol)
    failure.__cause__ = error
    return failure
