"""The laws of time limits and of what is told of the pace, held by both queues alike."""

from __future__ import annotations

import asyncio

import pytest

from service.domain import JobCompleted, JobFailed, JobQueued, JobStarted, JobState
from service.jobs.pace import Pace, StepTime
from service.jobs.queue import Backlog, JobQueue, QueueLimits, WorkerStatus
from tests.queue_calls import NewQueue, lease_one, log_of
from tests.requests import request_of

LIMITS = pytest.mark.parametrize(
    "limit",
    [{"start_within_ms": 50}, {"deadline_ms": 50}, {"start_within_ms": 50, "deadline_ms": 10_000}],
    ids=str,
)
PACE = Pace(
    bands=(StepTime(median=0.25, p90=0.5), None),
    picture=None,
    job=StepTime(median=1.0, p90=2.0),
    jobs_at_once=4.0,
)


@LIMITS
async def test_a_job_that_waited_too_long_for_its_start_fails_instead(
    queue: JobQueue, limit: dict[str, int]
) -> None:
    late = await queue.submit(request_of(**limit))
    patient = await queue.submit(request_of())
    await asyncio.sleep(0.1)
    (lease,) = await queue.lease("w", model="fake", count=2, wait_seconds=0)
    assert lease.job.id == patient.id
    first, last = [logged.event for logged in await log_of(queue, late.id)]
    assert first == JobQueued()
    assert isinstance(last, JobFailed)
    assert last.code == "deadline_exceeded"
    assert (await queue.job(late.id)).state is JobState.FAILED
    assert await queue.depth() == 1


@LIMITS
async def test_a_late_job_fails_even_if_no_worker_has_room_for_it(
    queue: JobQueue, limit: dict[str, int]
) -> None:
    await queue.fail_late("fake")
    handed_back = await queue.submit(request_of(start_within_ms=1000))
    running = await queue.submit(request_of(start_within_ms=1000))
    leases = await queue.lease("w", model="fake", count=2, wait_seconds=0)
    assert len(leases) == 2
    await queue.hand_back(leases[0])
    late = await queue.submit(request_of(**limit))
    waiting = await queue.submit(request_of(start_within_ms=60_000))
    other = await queue.submit(request_of(model="other", **limit))
    await asyncio.sleep(1.1)
    await queue.fail_late("fake")
    everyone = (handed_back, running, late, waiting, other)
    assert [(await queue.job(job.id)).state.value for job in everyone] == [
        "queued",
        "running",
        "failed",
        "queued",
        "queued",
    ]
    last = (await log_of(queue, late.id))[-1].event
    assert isinstance(last, JobFailed)
    assert last.code == "deadline_exceeded"
    assert await queue.depth() == 4


@LIMITS
async def test_a_job_that_starts_in_time_may_go_on_elsewhere_later(
    new_queue: NewQueue, limit: dict[str, int]
) -> None:
    queue = new_queue(QueueLimits(lease_seconds=0.2))
    job = await queue.submit(request_of(**{name: 40 * value for name, value in limit.items()}))
    await queue.hand_back(await lease_one(queue, "leaves"))
    await asyncio.sleep(2.1)
    await lease_one(queue, "dies")
    await asyncio.sleep(0.3)
    lease = await lease_one(queue, "stays")
    assert lease.job.attempts == 2
    await queue.finish(lease, JobCompleted())
    events = [logged.event for logged in await log_of(queue, job.id)]
    assert events[1:] == [
        JobStarted(attempt=1),
        JobStarted(attempt=1),
        JobStarted(attempt=2),
        JobCompleted(),
    ]


async def test_a_lease_tells_the_jobs_age_by_the_queues_own_clock(queue: JobQueue) -> None:
    await queue.submit(request_of())
    await asyncio.sleep(0.2)
    lease = await lease_one(queue)
    assert 0.15 < lease.leased_at - lease.job.created_at < 10
    await asyncio.sleep(0.4)
    again = await lease_one(queue)
    assert again.leased_at > lease.leased_at + 0.15
    assert again.job.created_at == lease.job.created_at


async def test_the_backlog_counts_what_waits_and_what_runs(queue: JobQueue) -> None:
    async def counted() -> tuple[int, int]:
        backlog = await queue.backlog("fake")
        assert await queue.backlog("none") == Backlog(waiting=0, running=0)
        return backlog.waiting, backlog.running

    assert await counted() == (0, 0)
    await queue.submit(request_of(model="other"))
    jobs = [await queue.submit(request_of()) for _ in range(4)]
    assert await counted() == (4, 0)
    leases = await queue.lease("w", model="fake", count=2, wait_seconds=0)
    assert await counted() == (2, 2)
    await queue.hand_back(leases[0])
    assert await counted() == (3, 1)
    await queue.cancel(jobs[3].id)
    assert await counted() == (2, 1)
    await queue.finish(leases[1], JobCompleted())
    assert await counted() == (2, 0)


async def test_a_worker_tells_its_pace(queue: JobQueue) -> None:
    status = WorkerStatus(worker_id="w", model="fake", engine="fake", engine_ready=True, pace=PACE)
    await queue.heartbeat(status, ttl_seconds=5)
    assert list(await queue.workers()) == [status]


async def test_limits_survive_the_passage(queue: JobQueue) -> None:
    request = request_of(deadline_ms=86_400_000, start_within_ms=5_000)
    await queue.submit(request)
    assert (await lease_one(queue)).job.request == request
