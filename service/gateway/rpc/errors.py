"""How errors look over gRPC: `google.rpc.Status` with details, from `service.errors.CATALOGUE`."""

from __future__ import annotations

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RequestInfo, RetryInfo
from google.rpc.status_pb2 import Status

from service.errors import CatalogueEntry, ServiceError, catalogued
from service.gateway.failures import RETRY_SECONDS

DOMAIN = "nfig"
"""Of `ErrorInfo`: whose codes these are."""
_OUR_NAMES = {
    "idempotency-key": "idempotency_key",
    "deadline_ms": "spec.deadline_ms",
    "start_within_ms": "spec.start_within_ms",
}
"""Where a use case names a field itself, as HTTP knows it."""


def status_of(error: ServiceError, *, request_id: str) -> Status:
    """The status that clients read with `grpc_status.rpc_status.from_call`."""
    entry = catalogued(error)
    status = Status(code=grpc_code(entry).value[0], message=error.message)
    for detail in _details(error, entry, request_id):
        packed = Packed()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def grpc_code(entry: CatalogueEntry) -> grpc.StatusCode:
    return grpc.StatusCode[entry.grpc_status]


def _details(error: ServiceError, entry: CatalogueEntry, request_id: str) -> list[Message]:
    details: list[Message] = [
        ErrorInfo(reason=entry.code, domain=DOMAIN, metadata={"title": entry.title}),
        RequestInfo(request_id=request_id),
    ]
    if error.field is not None:
        field = _OUR_NAMES.get(error.field, error.field)
        wrong = BadRequest.FieldViolation(field=field, description=error.message)
        details.append(BadRequest(field_violations=[wrong]))
    if entry.retryable:
        delay = Duration()
        delay.FromMilliseconds(round(1000 * (error.retry_after_s or RETRY_SECONDS)))
        details.append(RetryInfo(retry_delay=delay))
    return details
