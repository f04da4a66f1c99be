"""What a refused call was told, read as any client of rich errors reads it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status


async def refused(call: Awaitable[Any]) -> grpc.aio.AioRpcError:
    """The error that the call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    error: grpc.aio.AioRpcError = raised.value
    return error


def details_of(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    """The details of the error by the names of their messages."""
    status = rpc_status.from_call(_Read(error))
    assert status is not None, error
    found = {}
    for packed in status.details:
        name = packed.TypeName().rpartition(".")[2]
        message = getattr(error_details_pb2, name)()
        assert packed.Unpack(message)
        found[name] = message
    return found


def code_of(error: grpc.aio.AioRpcError) -> str:
    """Our code of the error."""
    reason: str = details_of(error)["ErrorInfo"].reason
    return reason


def field_of(error: grpc.aio.AioRpcError) -> str:
    """The field at fault."""
    (violation,) = details_of(error)["BadRequest"].field_violations
    assert violation.description == error.details()
    field: str = violation.field
    return field


class _Read:
    """An error of grpc.aio in the shape of a call that `rpc_status` reads."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self.code = error.code
        self.details = error.details
        self.trailing_metadata = lambda: list(error.trailing_metadata())
