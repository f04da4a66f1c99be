"""`domain.TRANSITIONS` is what both queues do: every verb is tried on a job in every state."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import pytest

from service.domain import (
    TERMINAL_STATES,
    TRANSITIONS,
    JobCancelled,
    JobCompleted,
    JobFailed,
    JobState,
    TerminalEvent,
)
from service.errors import JobLost
from service.jobs.queue import JobQueue, Lease, QueueLimits
from tests.queue_calls import NewQueue, band
from tests.requests import request_of

LEASE_SECONDS = 0.02
FAILED = JobFailed(code="internal", message="broken")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A job in some state, with a lease that has its epoch, whether or not anybody holds it."""

    job_id: str
    lease: Lease


Verb = Callable[[JobQueue, Subject], Awaitable[object]]


async def lapse(queue: JobQueue, subject: Subject) -> None:
    await asyncio.sleep(2 * LEASE_SECONDS)
    await take(queue, subject)


async def take(queue: JobQueue, subject: Subject) -> None:
    await queue.lease("other", model="fake", count=1, wait_seconds=0)


async def lapse_cancelled(queue: JobQueue, subject: Subject) -> None:
    await queue.cancel(subject.job_id)
    await lapse(queue, subject)


async def lapse_for_good(queue: JobQueue, subject: Subject) -> None:
    for _ in range(3):
        await lapse(queue, subject)


def finish(event: TerminalEvent) -> Verb:
    return lambda queue, subject: queue.finish(subject.lease, event)


VERBS: dict[str, Verb] = {
    "take": take,
    "lapse": lapse,
    "lapse, cancelled": lapse_cancelled,
    "lapse for good": lapse_for_good,
    "renew": lambda queue, subject: queue.renew(subject.lease),
    "publish": lambda queue, subject: queue.publish(subject.lease, band(0), pictures={}),
    "complete": finish(JobCompleted()),
    "fail": finish(FAILED),
    "end as cancelled": finish(JobCancelled()),
    "hand back": lambda queue, subject: queue.hand_back(subject.lease),
    "cancel": lambda queue, subject: queue.cancel(subject.job_id),
    "fail late": lambda queue, subject: queue.fail_late("fake"),
}
ENDS: dict[JobState, TerminalEvent] = {
    JobState.COMPLETED: JobCompleted(),
    JobState.FAILED: FAILED,
    JobState.CANCELLED: JobCancelled(),
}
BEFORE = [*JobState, "never leased"]


async def bring(queue: JobQueue, before: JobState | str) -> Subject:
    if before == "never leased":
        job = await queue.submit(request_of(start_within_ms=15))
        await asyncio.sleep(0.02)
        unheld = Lease(job=job, worker_id="w", epoch=0, leased_at=0.0)
        return Subject(job_id=job.id, lease=unheld)
    job = await queue.submit(request_of())
    (lease,) = await queue.lease("w", model="fake", count=1, wait_seconds=0)
    if before is JobState.QUEUED:
        await queue.hand_back(lease)
        # Were the state not asked for, this one could write.
        lease = replace(lease, epoch=lease.epoch + 1)
    elif before in TERMINAL_STATES:
        await queue.finish(lease, ENDS[JobState(before)])
    return Subject(job_id=job.id, lease=lease)


async def passed(queue: JobQueue, before: JobState | str, verb: str) -> tuple[JobState, JobState]:
    """The states before and after the verb; the log of a job that had ended stays as it was."""
    subject = await bring(queue, before)
    was, log = await queue.job(subject.job_id), await queue.history(subject.job_id)
    try:
        await VERBS[verb](queue, subject)
    except JobLost:
        assert was.state is not JobState.RUNNING
        assert await queue.job(subject.job_id) == was
    now = await queue.job(subject.job_id)
    if was.state in TERMINAL_STATES:
        assert (now, await queue.history(subject.job_id)) == (was, log)
    elif verb in ("renew", "publish", "complete", "fail", "end as cancelled", "hand back"):
        assert (now == was) == (was.state is JobState.QUEUED or verb in ("renew", "publish"))
    return was.state, now.state


@pytest.mark.timeout(120)
async def test_jobs_pass_between_states_as_the_table_says_and_in_no_other_way(
    new_queue: NewQueue,
) -> None:
    seen = set()
    for before in BEFORE:
        for verb in VERBS:
            queue = new_queue(QueueLimits(lease_seconds=LEASE_SECONDS, max_attempts=2))
            was, now = await passed(queue, before, verb)
            assert now is was or now in TRANSITIONS[was], (before, verb, now)
            seen.add((was, now))
    assert {(was, now) for was, after in TRANSITIONS.items() for now in after} <= seen
