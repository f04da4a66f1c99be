"""What both queues agree on: how far an image has come, what a job's end means, and what is said
to a key that is taken, a tenant that has its number of jobs or a queue that has no room."""

from __future__ import annotations

from service.domain import (
    BandCompleted,
    GenerationRequest,
    ImageCompleted,
    JobCancelled,
    JobCompleted,
    JobFailed,
    JobState,
    TerminalEvent,
)
from service.errors import IdempotencyConflict, QueueFull, RateLimitExceeded

IMAGE_DONE = 1_000_000
"""More than any band."""
MEMORY_RETRY_SECONDS = 5.0

_STATES: dict[type[TerminalEvent], JobState] = {
    JobCompleted: JobState.COMPLETED,
    JobFailed: JobState.FAILED,
    JobCancelled: JobState.CANCELLED,
}


def progress_of(event: BandCompleted | ImageCompleted) -> int:
    """Rises strictly along the log of one image; 0 is before the first event."""
    return event.band + 1 if isinstance(event, BandCompleted) else IMAGE_DONE


def state_after(event: TerminalEvent) -> JobState:
    return _STATES[type(event)]


def start_limit_ms(request: GenerationRequest) -> int | None:
    """Milliseconds from acceptance after which a job that no worker has had yet is too late."""
    limits = (request.start_within_ms, request.deadline_ms)
    return min((limit for limit in limits if limit is not None), default=None)


def key_conflict() -> IdempotencyConflict:
    return IdempotencyConflict(
        "idempotency-key was used for another request: a new request needs a new key",
        field="idempotency-key",
    )


def over_its_jobs(max_jobs: int | None) -> RateLimitExceeded:
    return RateLimitExceeded(
        f"your {max_jobs} jobs are waiting or running: one of them must end first",
        retry_after_s=2.0,
    )


def depth_reached(max_depth: int) -> QueueFull:
    return QueueFull(f"the queue holds its {max_depth} jobs", retry_after_s=1.0)


def out_of_memory() -> QueueFull:
    return QueueFull(
        "the queue's memory is full: results must expire or jobs must end first",
        retry_after_s=MEMORY_RETRY_SECONDS,
    )


FAILED_BY_ATTEMPTS = JobFailed(
    code="internal", message="the job was given up: its workers died again and again"
)
"""The end of a job that has had all its leases."""

ENGINE_GONE = JobFailed(
    code="engine_unavailable",
    message="the engine that began the job is gone, and no other may go on with it",
)
"""The end of a job that has waited for a worker with its own engine for too long."""

BURIED = (FAILED_BY_ATTEMPTS, ENGINE_GONE)
"""The ends that leave a dead letter."""

NOT_STARTED = JobFailed(code="deadline_exceeded", message="the job did not start in time")
"""The end of a job that waited for longer than its caller allows."""

UNSERVED = JobFailed(code="engine_unavailable", message="no engine was left to draw the job")
"""The end of a job whose caller would wait in vain."""

UNREADABLE = JobFailed(code="internal", message="the job was written in a form not known here")
"""The end of a job that no worker of this version can read."""
