"""What every call goes through: its request id, its caller, its message, its errors.

Health and reflection have messages and errors of their own and pass untouched.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
from google.protobuf.message import Message
from grpc_status import rpc_status

from nfig_proto.v1 import image_generation_pb2
from service.gateway.failures import as_service_error
from service.gateway.request_ids import given_or_new
from service.gateway.rpc.errors import status_of
from service.gateway.rpc.messages import parse

SERVICE = image_generation_pb2.DESCRIPTOR.services_by_name["ImageGenerationService"].full_name
REQUEST_ID = "x-request-id"


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call, as the service sees it."""

    request_id: str
    seconds_left: float | None
    """Until the caller's own deadline, if it has set one."""


Unary = Callable[[Message, Call], Awaitable[Message]]
Stream = Callable[[Message, Call], AsyncGenerator[Message]]


class CallInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Hands behaviours a checked message and a `Call`; renders whatever they raise."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], details: Any
    ) -> Any:
        handler = await continuation(details)
        service, _, method = details.method.strip("/").partition("/")
        if handler is None or service != SERVICE:
            return handler
        identifier = _request_id(details.invocation_metadata)
        kind = _request_kind(method)
        # Without a deserializer the bytes come as they are: a broken message is the caller's
        # mistake, and the server would call it ours.
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(handler.unary_stream, identifier, kind),
                response_serializer=handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(handler.unary_unary, identifier, kind),
            response_serializer=handler.response_serializer,
        )

    def _unary(self, behaviour: Unary, identifier: str, kind: type[Message]) -> Any:
        async def answer(raw: bytes, context: Any) -> Message:
            try:
                call = await self._enter(identifier, context)
                return await behaviour(self._parse(kind, raw), call)
            except Exception as error:
                await _abort(error, identifier, context)

        return answer

    def _stream(self, behaviour: Stream, identifier: str, kind: type[Message]) -> Any:
        async def answer(raw: bytes, context: Any) -> AsyncGenerator[Message]:
            try:
                call = await self._enter(identifier, context)
                async with aclosing(behaviour(self._parse(kind, raw), call)) as messages:
                    async for message in messages:
                        yield message
            except Exception as error:
                await _abort(error, identifier, context)

        return answer

    async def _enter(self, identifier: str, context: Any) -> Call:
        """Before anything of the request is looked at. The caller's key is checked here."""
        await context.send_initial_metadata(((REQUEST_ID, identifier),))
        return Call(request_id=identifier, seconds_left=context.time_remaining())

    def _parse(self, kind: type[Message], raw: bytes) -> Message:
        return parse(kind, raw, max_bytes=self._max_bytes)


async def _abort(error: Exception, identifier: str, context: Any) -> NoReturn:
    failure = as_service_error(error, request_id=identifier)
    status = rpc_status.to_status(status_of(failure, request_id=identifier))
    await context.abort(status.code, status.details, status.trailing_metadata)
    raise AssertionError("abort raises")


def _request_id(metadata: Any) -> str:
    given = (value for name, value in metadata or () if name == REQUEST_ID)
    return given_or_new(next(given, ""))


def _request_kind(method: str) -> type[Message]:
    kind: type[Message] = getattr(image_generation_pb2, f"{method}Request")
    return kind
