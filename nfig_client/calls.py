"""What a client does for the logic that it shares with the other: make a call, or pause.

The logic is generators that yield these and are sent what came of them; `Client` and `AsyncClient`
only carry them out.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from nfig_client.errors import ApiError, ConnectionLostError, Problem, ProtocolError, api_error

T = TypeVar("T")
RETRYABLE = frozenset({408, 429, 502, 503, 504})
"""Where the service does not say."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request that is to be made."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Pause:
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back, read to its end."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    content: bytes

    def json(self) -> Any:
        """Raises ProtocolError."""
        try:
            return json.loads(self.content)
        except ValueError:
            raise ProtocolError(f"the service answered {self.status} without JSON") from None


Step = Call | Pause
Outcome = Answer | ConnectionLostError | None
"""None is what comes of a pause."""
Flow = Generator[Step, Outcome, T]


def error_of(answer: Answer) -> ApiError | None:
    """The error that an answer is, if it is one."""
    if answer.status < 300:
        return None
    try:
        details = json.loads(answer.content)
    except ValueError:
        details = None
    return api_error(_problem(answer, details if isinstance(details, dict) else {}))


def problem_in_stream(details: Mapping[str, Any]) -> ApiError:
    """The error that an `error` event carries: problem details without an answer of their own."""
    status = int(details.get("status", 500))
    answer = Answer(status=status, headers={}, content=b"")
    return api_error(_problem(answer, details))


def _problem(answer: Answer, details: Mapping[str, Any]) -> Problem:
    told = answer.headers.get("x-should-retry")
    return Problem(
        status=answer.status,
        code=str(details.get("code", "unknown")),
        detail=str(details.get("detail", f"the service answered {answer.status}")),
        field=details.get("field"),
        request_id=details.get("request_id", answer.headers.get("x-request-id")),
        retryable=answer.status in RETRYABLE if told is None else told == "true",
        retry_after_s=_seconds(answer.headers.get("retry-after")),
    )


def _seconds(retry_after: str | None) -> float | None:
    """`Retry-After`: a number of seconds or a date; None for what is neither."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        at = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    zoned = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(0.0, (zoned - datetime.now(UTC)).total_seconds())
