"""Refuses oversized bodies before anything parses them, whether or not they announce their size."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import BodyTooLarge


class BodyLimitMiddleware:
    """Raises BodyTooLarge: at once by `Content-Length`, else from the read that goes too far."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, more_bytes: Mapping[str, int]) -> None:
        """`more_bytes` is what bodies at certain paths may have on top."""
        self.app = app
        self.max_bytes = max_bytes
        self.more_bytes = more_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        max_bytes = self.max_bytes + self.more_bytes.get(scope["path"], 0)
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdigit() and (len(announced) > 18 or int(announced) > max_bytes):
            raise _too_large(max_bytes)
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > max_bytes:
                raise _too_large(max_bytes)
            return message

        await self.app(scope, receive_counted, send)


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"the request body is over {max_bytes} bytes", field="body")
