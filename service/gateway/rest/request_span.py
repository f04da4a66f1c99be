"""The span of a request over HTTP: W3C trace context in, `traceparent` of our own span out."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.gateway.rest.request_id import request_id
from service.tracing import entry_span

TRACED = "/v1/"
"""Not probes and scrapes."""


class RequestSpanMiddleware:
    """Inside the request id and around everything else; only there where something is traced."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(TRACED):
            await self.app(scope, receive, send)
            return
        method, given = scope["method"], Headers(scope=scope)
        # Neither path nor query: a job's address is a permission to look at it.
        attributes = {"http.request.method": method, "nfig.request.id": request_id(scope)}
        with entry_span(method, "server", attributes, headers=given) as span:

            async def send_with_context(message: Message) -> None:
                if message["type"] == "http.response.start":
                    status: int = message["status"]
                    span.set({"http.response.status_code": status})
                    if status >= 500:
                        span.fail(str(status))
                    MutableHeaders(scope=message).update(span.headers)
                await send(message)

            await self.app(scope, receive, send_with_context)
            if route := getattr(scope.get("route"), "path", None):
                span.rename(f"{method} {route}")
                span.set({"http.route": route})
