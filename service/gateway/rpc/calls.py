"""What every call goes through: its request id, its caller, its message, its errors.

Health and reflection have messages and errors of their own and pass untouched.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
from google.protobuf.message import Message
from grpc_status import rpc_status
from structlog.contextvars import bind_contextvars

from nfig_proto.v1 import image_generation_pb2
from service.gateway.access.access import Access
from service.gateway.access.principal import Principal
from service.gateway.failures import as_service_error
from service.gateway.request_ids import given_or_new
from service.gateway.rpc.errors import status_of
from service.gateway.rpc.messages import parse
from service.tracing import Span, current, entry_span

SERVICE = image_generation_pb2.DESCRIPTOR.services_by_name["ImageGenerationService"].full_name
REQUEST_ID = "x-request-id"
COUNTED = frozenset({"Generate", "GenerateStream", "CreateJob"})
"""What may become a job, and so takes one of the tenant's requests per minute."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call, as the service sees it."""

    request_id: str
    caller: Principal
    seconds_left: float | None
    """Until the caller's own deadline, if it has set one."""


@dataclass(frozen=True, kw_only=True)
class _Arrival:
    """A call before it is let in."""

    method: str
    request_id: str
    authorization: str | None
    trace: Mapping[str, str]
    """W3C trace context, as far as the caller has sent one."""

    def span(self) -> Span:
        name = f"{SERVICE}/{self.method}"
        attributes = {"rpc.system": "grpc", "nfig.request.id": self.request_id}
        return entry_span(name, "server", attributes, headers=self.trace)


Unary = Callable[[Message, Call], Awaitable[Message]]
Stream = Callable[[Message, Call], AsyncGenerator[Message]]


class CallInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Hands behaviours a checked message and a `Call`; renders whatever they raise."""

    def __init__(self, *, access: Access, max_bytes: int) -> None:
        self._access = access
        self._max_bytes = max_bytes

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], details: Any
    ) -> Any:
        handler = await continuation(details)
        service, _, method = details.method.strip("/").partition("/")
        if handler is None or service != SERVICE:
            return handler
        arrival = _arrival(method, details.invocation_metadata)
        # Without a deserializer the bytes come as they are: a broken message is the caller's
        # mistake, and the server would call it ours.
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(handler.unary_stream, arrival),
                response_serializer=handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(handler.unary_unary, arrival),
            response_serializer=handler.response_serializer,
        )

    def _unary(self, behaviour: Unary, arrival: _Arrival) -> Any:
        async def answer(raw: bytes, context: Any) -> Message:
            with arrival.span():
                try:
                    call = await self._enter(arrival, context)
                    return await behaviour(self._parse(arrival, raw), call)
                except Exception as error:
                    await _abort(error, arrival.request_id, context)

        return answer

    def _stream(self, behaviour: Stream, arrival: _Arrival) -> Any:
        async def answer(raw: bytes, context: Any) -> AsyncGenerator[Message]:
            with arrival.span():
                try:
                    call = await self._enter(arrival, context)
                    async with aclosing(behaviour(self._parse(arrival, raw), call)) as messages:
                        async for message in messages:
                            yield message
                except Exception as error:
                    await _abort(error, arrival.request_id, context)

        return answer

    async def _enter(self, arrival: _Arrival, context: Any) -> Call:
        """Who calls and whether it may, before anything of the request is parsed."""
        bind_contextvars(request_id=arrival.request_id)
        trace = current.get().headers.items()
        await context.send_initial_metadata(((REQUEST_ID, arrival.request_id), *trace))
        caller = self._access.principal(arrival.authorization)
        if arrival.method in COUNTED:
            self._access.require_allowed(await self._access.count_request(caller))
        return Call(
            request_id=arrival.request_id, caller=caller, seconds_left=context.time_remaining()
        )

    def _parse(self, arrival: _Arrival, raw: bytes) -> Message:
        kind: type[Message] = getattr(image_generation_pb2, f"{arrival.method}Request")
        return parse(kind, raw, max_bytes=self._max_bytes)


async def _abort(error: Exception, identifier: str, context: Any) -> NoReturn:
    failure = as_service_error(error, request_id=identifier)
    status = rpc_status.to_status(status_of(failure, request_id=identifier))
    current.get().fail(status.code.name)
    await context.abort(status.code, status.details, status.trailing_metadata)
    raise AssertionError("abort raises")


def _arrival(method: str, metadata: Any) -> _Arrival:
    said = dict(reversed(metadata or ()))  # the first of each name counts
    return _Arrival(
        method=method,
        request_id=given_or_new(said.get(REQUEST_ID, "")),
        authorization=said.get("authorization"),
        trace={name: said[name] for name in ("traceparent", "tracestate") if name in said},
    )
