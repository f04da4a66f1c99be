"""Everything that can go wrong for a user, in one tree and one table.

ServiceError
    InvalidRequest        a field is missing, unknown or out of range; names the field
        UnknownClass      the class label or name is not one of the model's
        UnknownModel      no such model is registered
        BodyTooLarge      the request body is over the limit
        InvalidImage      an uploaded image that cannot be read or used
        UnsupportedMediaType  the body is not of a type that is read here
        NotAcceptable     the answer cannot be given in a type that the caller accepts
        MethodNotAllowed  the path exists, the method does not
        IdempotencyConflict  the idempotency key belongs to another request
        DeadlineTooShort  not even the first band would be drawn by then, however short the queue
    InvalidApiKey         no key was sent, or none that is known here
    PriorityNotAllowed    the caller may not ask for so high a priority
    NotFound              no such job or path, or it has expired, or it is not the caller's
    Refused               not now: says when to come back
        RateLimitExceeded the caller is over a limit of its own
        QueueFull         the queue is at its depth
        QueueUnavailable  Redis does not answer
        EngineUnavailable no engine is able to draw
        DeadlineUnattainable  the queue is too long for the request's deadline
        ShuttingDown      this gateway is about to stop
    JobLost               the job's lease went to another worker
    DeadlineExceeded      the answer was not ready in time
    JobCancelledError     the job was cancelled before it was complete
    Internal              a defect of the service

`CATALOGUE` maps each class to its code, HTTP status and gRPC status; the front doors render it.
"""

from __future__ import annotations

from dataclasses import dataclass


class ServiceError(Exception):
    """The root. `message` is for people, `field` names the input at fault."""

    def __init__(
        self, message: str, *, field: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.retry_after_s = retry_after_s


class InvalidRequest(ServiceError):
    pass


class UnknownClass(InvalidRequest):
    pass


class UnknownModel(InvalidRequest):
    pass


class BodyTooLarge(InvalidRequest):
    pass


class InvalidImage(InvalidRequest):
    pass


class UnsupportedMediaType(InvalidRequest):
    pass


class NotAcceptable(InvalidRequest):
    pass


class MethodNotAllowed(InvalidRequest):
    pass


class IdempotencyConflict(InvalidRequest):
    pass


class DeadlineTooShort(InvalidRequest):
    pass


class InvalidApiKey(ServiceError):
    pass


class PriorityNotAllowed(ServiceError):
    pass


class NotFound(ServiceError):
    pass


class Refused(ServiceError):
    pass


class RateLimitExceeded(Refused):
    pass


class QueueFull(Refused):
    pass


class QueueUnavailable(Refused):
    pass


class EngineUnavailable(Refused):
    pass


class DeadlineUnattainable(Refused):
    pass


class ShuttingDown(Refused):
    pass


class JobLost(ServiceError):
    pass


class DeadlineExceeded(ServiceError):
    pass


class JobCancelledError(ServiceError):
    pass


class Internal(ServiceError):
    pass


@dataclass(frozen=True, kw_only=True)
class CatalogueEntry:
    """How one kind of error looks from outside."""

    code: str
    http_status: int
    grpc_status: str
    retryable: bool
    title: str
    """What the code means, for people; the same for every occurrence."""


def _entry(code: str, http_status: int, grpc_status: str, title: str) -> CatalogueEntry:
    return CatalogueEntry(
        code=code,
        http_status=http_status,
        grpc_status=grpc_status,
        # The same request may work later exactly when its caller was too quick, or a part was full,
        # down or slow.
        retryable=http_status in (429, 503, 504),
        title=title,
    )


CATALOGUE: dict[type[ServiceError], CatalogueEntry] = {
    InvalidRequest: _entry(
        "invalid_request", 400, "INVALID_ARGUMENT", "A field is missing, unknown or out of range"
    ),
    UnknownClass: _entry(
        "unknown_class", 400, "INVALID_ARGUMENT", "The class is not one of the model's"
    ),
    UnknownModel: _entry("unknown_model", 404, "NOT_FOUND", "The model is not registered"),
    BodyTooLarge: _entry("body_too_large", 413, "INVALID_ARGUMENT", "The body is over the limit"),
    InvalidImage: _entry(
        "invalid_image", 400, "INVALID_ARGUMENT", "The uploaded image cannot be read or used"
    ),
    UnsupportedMediaType: _entry(
        "unsupported_media_type",
        415,
        "INVALID_ARGUMENT",
        "The body is not of a type that is read here",
    ),
    NotAcceptable: _entry(
        "not_acceptable", 406, "INVALID_ARGUMENT", "No type that the caller accepts can be given"
    ),
    MethodNotAllowed: _entry(
        "method_not_allowed", 405, "UNIMPLEMENTED", "The path has no such method"
    ),
    IdempotencyConflict: _entry(
        "idempotency_conflict",
        422,
        "ALREADY_EXISTS",
        "The idempotency key was used for another request",
    ),
    DeadlineTooShort: _entry(
        "deadline_too_short",
        422,
        "FAILED_PRECONDITION",
        "Not even the first band takes so little time",
    ),
    InvalidApiKey: _entry(
        "invalid_api_key", 401, "UNAUTHENTICATED", "No API key was sent, or none that is known"
    ),
    PriorityNotAllowed: _entry(
        "priority_not_allowed", 403, "PERMISSION_DENIED", "The caller may not have this priority"
    ),
    NotFound: _entry("not_found", 404, "NOT_FOUND", "It does not exist, or has expired"),
    RateLimitExceeded: _entry(
        "rate_limit_exceeded",
        429,
        "RESOURCE_EXHAUSTED",
        "The caller is over a limit of its own",
    ),
    QueueFull: _entry("queue_full", 503, "RESOURCE_EXHAUSTED", "The queue is full"),
    QueueUnavailable: _entry("queue_unavailable", 503, "UNAVAILABLE", "The queue does not answer"),
    EngineUnavailable: _entry("engine_unavailable", 503, "UNAVAILABLE", "No engine can draw now"),
    DeadlineUnattainable: _entry(
        "deadline_unattainable",
        503,
        "RESOURCE_EXHAUSTED",
        "The queue is too long for the deadline",
    ),
    ShuttingDown: _entry("shutting_down", 503, "UNAVAILABLE", "This gateway is about to stop"),
    DeadlineExceeded: _entry(
        "deadline_exceeded", 504, "DEADLINE_EXCEEDED", "The answer was not ready in time"
    ),
    JobCancelledError: _entry(
        "job_cancelled", 409, "CANCELLED", "The job was cancelled before it was complete"
    ),
    Internal: _entry("internal", 500, "INTERNAL", "A defect of the service"),
}
"""JobLost and Refused are missing on purpose: the first never leaves a worker, the second is only
a branch of the tree."""

_BY_CODE = {entry.code: kind for kind, entry in CATALOGUE.items()}


def catalogued(error: ServiceError) -> CatalogueEntry:
    """The entry of the error's class or of its nearest parent that has one."""
    for kind in type(error).__mro__:
        if kind in CATALOGUE:
            return CATALOGUE[kind]
    return CATALOGUE[Internal]


def from_code(code: str, message: str) -> ServiceError:
    """The error that a `job.failed` event stands for."""
    return _BY_CODE.get(code, Internal)(message)
