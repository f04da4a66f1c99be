"""Everything that a call may raise.

NFIGError
    ApiError                    the service answered with an error
        InvalidRequestError         the request is at fault; `field` names the part
            IdempotencyConflictError    the key was used for another request
        AuthenticationError         no key, a wrong one, or one that may not do this
        NotFoundError               there is no such job, picture or model
            JobGoneError                a job that was watched has expired, or never was
        RateLimitError              too much was asked for in too little time
        ServerError                 full, down, slow or broken; `retryable` tells which
    ConnectionLostError         the service cannot be reached, or hung up too often
    ProtocolError               an answer that is not one of this service's
    JobFailedError              the job ended by an error
    JobCancelledError           the job was cancelled
"""

from __future__ import annotations

from dataclasses import dataclass


class NFIGError(Exception):
    """The root. `message` is for people."""

    retryable: bool = False
    """Whether the same request may work later."""
    retry_after_s: float | None = None
    """How long the service asks to be left alone before that."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What an error answer says (RFC 9457)."""

    status: int
    code: str
    detail: str
    field: str | None = None
    request_id: str | None = None
    retryable: bool = False
    retry_after_s: float | None = None


class ApiError(NFIGError):
    """An error answer; `code` is one of the table in the service's API page."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.status = problem.status
        self.code = problem.code
        self.field = problem.field
        self.request_id = problem.request_id
        self.retryable = problem.retryable
        self.retry_after_s = problem.retry_after_s

    def __str__(self) -> str:
        asked = f", request {self.request_id}" if self.request_id else ""
        return f"{self.message} ({self.status} {self.code}{asked})"


class InvalidRequestError(ApiError):
    pass


class IdempotencyConflictError(InvalidRequestError):
    pass


class AuthenticationError(ApiError):
    pass


class NotFoundError(ApiError):
    pass


class JobGoneError(NotFoundError):
    pass


class RateLimitError(ApiError):
    pass


class ServerError(ApiError):
    pass


class ConnectionLostError(NFIGError):
    retryable = True


class ProtocolError(NFIGError):
    pass


class JobFailedError(NFIGError):
    """`code` is one of the service's error codes."""

    def __init__(self, message: str, *, job: str, code: str, retryable: bool) -> None:
        super().__init__(f"job {job} failed: {message} ({code})")
        self.job = job
        self.code = code
        self.retryable = retryable


class JobCancelledError(NFIGError):
    def __init__(self, *, job: str) -> None:
        super().__init__(f"job {job} was cancelled")
        self.job = job


_BY_STATUS: dict[int, type[ApiError]] = {
    401: AuthenticationError,
    403: AuthenticationError,
    404: NotFoundError,
    429: RateLimitError,
}


def api_error(problem: Problem) -> ApiError:
    """The exception of a problem."""
    if problem.code == "idempotency_conflict":
        return IdempotencyConflictError(problem)
    other = InvalidRequestError if problem.status < 500 else ServerError
    return _BY_STATUS.get(problem.status, other)(problem)
