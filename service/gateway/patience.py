"""How long a caller who waits for images is kept waiting for the next event of the job's log."""

from __future__ import annotations

from dataclasses import dataclass

from service.domain import GenerationRequest
from service.errors import DeadlineExceeded

LATE_SECONDS = 1.0
"""How late an image may be before the caller's limit is answered with an error."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """The limit that ends first."""

    seconds: float
    """From acceptance."""
    complaint: str
    field: str | None = None

    def exceeded(self) -> DeadlineExceeded:
        return DeadlineExceeded(self.complaint, field=self.field)


def patience(request: GenerationRequest, *, timeout_seconds: float, started: bool) -> Patience:
    """`timeout_seconds` is the service's own limit, the others are the caller's."""
    text = f"the images were not ready within {timeout_seconds:g} seconds"
    limits = [Patience(seconds=timeout_seconds, complaint=text)]
    for field, milliseconds in (
        ("deadline_ms", request.deadline_ms),
        ("start_within_ms", None if started else request.start_within_ms),
    ):
        if milliseconds is not None:
            what = "started" if field == "start_within_ms" else "ready"
            text = f"the images were not {what} within {field}, {milliseconds} ms"
            seconds = milliseconds / 1000 + LATE_SECONDS
            limits.append(Patience(seconds=seconds, complaint=text, field=field))
    return min(limits, key=lambda limit: limit.seconds)
