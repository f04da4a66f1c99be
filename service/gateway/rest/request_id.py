"""Gives every request an id and a clock: `x-request-id` in and out, `openai-processing-ms` out."""

from __future__ import annotations

import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from service.gateway.request_ids import given_or_new


class RequestIdMiddleware:
    """Outermost of our middleware: what runs inside finds the id by `request_id(scope)`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.monotonic()
        identifier = given_or_new(Headers(scope=scope).get("x-request-id", ""))
        scope.setdefault("state", {})["request_id"] = identifier
        bind_contextvars(request_id=identifier)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.append("x-request-id", identifier)
                milliseconds = round((time.monotonic() - began) * 1000)
                headers.append("openai-processing-ms", str(milliseconds))
            await send(message)

        await self.app(scope, receive, send_with_headers)


def request_id(scope: Scope) -> str:
    return str(scope["state"]["request_id"])
