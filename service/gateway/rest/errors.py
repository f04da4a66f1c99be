"""How errors look over HTTP: the OpenAI object on `/v1/images`, RFC 9457 problem details elsewhere.

Both are rendered from `service.errors.CATALOGUE`. `ErrorMiddleware` is the last net: whatever
nobody expected is logged with its traceback and the request id, and answered as `internal`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import (
    BodyTooLarge,
    InvalidRequest,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    ServiceError,
    UnsupportedMediaType,
    catalogued,
)
from service.gateway.failures import RETRY_SECONDS, as_service_error
from service.gateway.rest.connection import ClientGone
from service.gateway.rest.request_id import request_id

logger = logging.getLogger(__name__)

SHOWN_CHARACTERS = 64
"""How much of a field's name, which may be the caller's own text, an error repeats."""
_CLIENT_GONE_STATUS = 499

_BY_HTTP_STATUS: dict[int, tuple[type[ServiceError], str]] = {
    404: (NotFound, "there is nothing at this path"),
    405: (MethodNotAllowed, "this path does not have that method"),
    406: (NotAcceptable, "no type that the request accepts can be given"),
    413: (BodyTooLarge, "the request body is too large"),
    415: (UnsupportedMediaType, "the request body is of a type that is not read here"),
}


def openai_error(error: ServiceError, *, request_id: str) -> dict[str, Any]:
    """The body of an error on `/v1/images`, and the data of an `error` event in its streams."""
    entry = catalogued(error)
    return {
        "error": {
            "message": error.message,
            "type": _openai_type(entry.http_status),
            "param": error.field,
            "code": entry.code,
            "status": entry.http_status,
            "request_id": request_id,
        }
    }


def _openai_type(status: int) -> str:
    if status == 429:
        return "requests"
    return "server_error" if status >= 500 else "invalid_request_error"


def problem(error: ServiceError, *, request_id: str) -> dict[str, Any]:
    """RFC 9457 problem details."""
    entry = catalogued(error)
    details: dict[str, Any] = {
        "type": f"urn:nfig:error:{entry.code}",
        "title": entry.title,
        "status": entry.http_status,
        "detail": error.message,
        "code": entry.code,
        "request_id": request_id,
    }
    if error.field is not None:
        details["field"] = error.field
    return details


def render(
    error: ServiceError, scope: Scope, *, headers: Mapping[str, str] | None = None
) -> Response:
    """The whole answer, in the shape of the path that was asked."""
    entry = catalogued(error)
    extra = {**(headers or {}), "x-should-retry": "true" if entry.retryable else "false"}
    if entry.retryable:
        extra["retry-after"] = str(max(1, math.ceil(error.retry_after_s or RETRY_SECONDS)))
    if entry.http_status == 401:
        extra["www-authenticate"] = 'Bearer realm="nfig"'
    identifier = request_id(scope)
    if scope["path"].startswith("/v1/images/"):
        body = openai_error(error, request_id=identifier)
        return JSONResponse(body, entry.http_status, extra)
    body = problem(error, request_id=identifier)
    return JSONResponse(body, entry.http_status, extra, media_type="application/problem+json")


def invalid_field(errors: list[Any]) -> InvalidRequest:
    """The first of pydantic's complaints, in our words."""
    first = errors[0]
    place = [str(part) for part in first["loc"] if part not in ("body", "path", "query")]
    # Where a field may be of several types, its name comes first and the type second.
    field = place[0][:SHOWN_CHARACTERS] if place else "body"
    if first["type"] == "extra_forbidden":
        return InvalidRequest(f"{field} is not a supported field", field=field)
    if first["type"] == "json_invalid":
        return InvalidRequest("the body is not valid JSON", field="body")
    complaint = str(first["msg"])
    return InvalidRequest(f"{field}: {complaint[:1].lower()}{complaint[1:]}", field=field)


def install(app: FastAPI) -> None:
    """Renders every error that a handler raises."""

    async def service_error(request: Request, error: Exception) -> Response:
        failure = as_service_error(error, request_id=request_id(request.scope))
        return render(failure, request.scope)

    async def validation_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return render(invalid_field(list(error.errors())), request.scope)

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kind, text = _BY_HTTP_STATUS.get(
            error.status_code, (InvalidRequest, "the request could not be read")
        )
        return render(kind(text), request.scope, headers=error.headers)

    async def client_gone(request: Request, error: Exception) -> Response:
        # Nobody reads it; the status is for our own log.
        return Response(status_code=_CLIENT_GONE_STATUS)

    app.add_exception_handler(ServiceError, service_error)
    app.add_exception_handler(RequestValidationError, validation_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(ClientGone, client_gone)


class ErrorMiddleware:
    """The last net, inside the request id and around everything else of ours."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def send_noting_start(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, send_noting_start)
        except Exception as error:
            if started:
                # The server closes the connection, so the client sees that it is incomplete.
                logger.error("request %s failed after its answer had begun", request_id(scope))
                raise
            failure = as_service_error(error, request_id=request_id(scope))
            await render(failure, scope)(scope, receive, send)
