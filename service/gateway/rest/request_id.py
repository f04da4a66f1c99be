"""Gives every request an id and a clock: `x-request-id` in and out, `openai-processing-ms` out."""

from __future__ import annotations

import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ACCEPTED_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
"""What a caller's own id may look like; anything else is replaced, so that logs stay clean."""


class RequestIdMiddleware:
    """Outermost of our middleware: what runs inside finds the id by `request_id(scope)`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.monotonic()
        given = Headers(scope=scope).get("x-request-id", "")
        identifier = given if ACCEPTED_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"
        scope.setdefault("state", {})["request_id"] = identifier

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = identifier
                headers["openai-processing-ms"] = str(round((time.monotonic() - began) * 1000))
            await send(message)

        await self.app(scope, receive, send_with_headers)


def request_id(scope: Scope) -> str:
    return str(scope["state"]["request_id"])
