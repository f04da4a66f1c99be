"""The laws of dead letters, held by the queue in Redis and its twin in memory alike."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from service.domain import Job, JobCompleted, JobFailed, JobQueued, JobStarted, JobState
from service.errors import NotFound, QueueFull
from service.jobs.progress import FAILED_BY_ATTEMPTS
from service.jobs.queue import JobQueue, Owner, QueueLimits
from tests.queue_calls import NewQueue, band, lease_one, log_of
from tests.requests import request_of

LEASE_SECONDS = 0.03
LIMITS = QueueLimits(lease_seconds=LEASE_SECONDS, max_attempts=2)


@pytest.fixture
def queue(new_queue: NewQueue) -> JobQueue:
    return new_queue(LIMITS)


async def use_up(queue: JobQueue, *, attempts: int = 2) -> None:
    """Workers die of everything that waits."""
    for number in range(attempts):
        await queue.lease(f"worker-{number}", model="fake", count=100, wait_seconds=0)
        await asyncio.sleep(2 * LEASE_SECONDS)
    assert list(await queue.lease("finder", model="fake", count=1, wait_seconds=0)) == []


async def dead_job(queue: JobQueue, *, upload: bytes | None = None, **changes: Any) -> Job:
    job = await queue.submit(request_of(**changes), owner=Owner(tenant="acme"), upload=upload)
    await use_up(queue)
    return job


async def test_a_job_whose_attempts_are_used_up_fails_and_leaves_a_letter(queue: JobQueue) -> None:
    job = await dead_job(queue)
    assert (await queue.job(job.id)).state is JobState.FAILED
    assert (await log_of(queue, job.id))[-1].event == FAILED_BY_ATTEMPTS
    (letter,) = await queue.dead_letters()
    assert (letter.job_id, letter.tenant, letter.attempts) == (job.id, "acme", 2)
    assert (letter.worker_id, letter.failure) == ("worker-1", FAILED_BY_ATTEMPTS)
    assert letter.at >= job.created_at - 0.01


async def test_no_other_end_leaves_a_letter(queue: JobQueue) -> None:
    late = await queue.submit(request_of(start_within_ms=1))
    await asyncio.sleep(0.01)
    await queue.fail_late("fake")
    assert (await queue.job(late.id)).state is JobState.FAILED
    for end in (JobCompleted(), JobFailed(code="internal", message="broken")):
        await queue.submit(request_of())
        await queue.finish(await lease_one(queue), end)
    await queue.cancel((await queue.submit(request_of())).id)
    assert list(await queue.dead_letters()) == []


async def test_a_retry_is_a_new_job_of_the_same_request_and_tenant(queue: JobQueue) -> None:
    dead = await dead_job(queue, seed=99, priority="low")
    log = await log_of(queue, dead.id)
    job = await queue.retry_dead(dead.id)
    assert job.id != dead.id
    assert (job.request, job.tenant, job.state, job.attempts) == (
        dead.request,
        "acme",
        JobState.QUEUED,
        0,
    )
    lease = await lease_one(queue)
    assert lease.job.id == job.id
    await queue.publish(lease, band(0), pictures={})
    await queue.finish(lease, JobCompleted())
    assert [logged.event for logged in await log_of(queue, job.id)] == [
        JobQueued(),
        JobStarted(attempt=1),
        band(0),
        JobCompleted(),
    ]
    # Watchers of the dead job were told its end, and that stays true.
    assert await log_of(queue, dead.id) == log
    assert list(await queue.dead_letters()) == []


async def test_a_retry_counts_its_limits_anew_and_may_die_again(queue: JobQueue) -> None:
    dead = await dead_job(queue, start_within_ms=30)
    job = await queue.retry_dead(dead.id)
    await use_up(queue)
    (letter,) = await queue.dead_letters()
    assert letter.job_id == job.id


async def test_a_letter_is_gone_once_it_is_retried_or_dropped(queue: JobQueue) -> None:
    first, second = [await queue.submit(request_of()) for _ in range(2)]
    await use_up(queue)
    await queue.drop_dead(first.id)
    await queue.retry_dead(second.id)
    for job_id in (first.id, second.id, "none"):
        verbs: list[Callable[[str], Awaitable[object]]] = [queue.retry_dead, queue.drop_dead]
        for verb in verbs:
            with pytest.raises(NotFound):
                await verb(job_id)
    assert await queue.depth() == 1


async def test_a_variation_takes_its_upload_along(queue: JobQueue) -> None:
    dead = await dead_job(queue, keep_bands=1, upload=b"pixels")
    assert await queue.upload(dead.id) == b"pixels"
    job = await queue.retry_dead(dead.id)
    assert await queue.upload(job.id) == b"pixels"
    with pytest.raises(NotFound):
        await queue.upload(dead.id)


async def test_a_variation_whose_upload_has_expired_stays_dead(new_queue: NewQueue) -> None:
    queue = new_queue(QueueLimits(lease_seconds=0.03, max_attempts=2, retention_seconds=0.1))
    dead = await dead_job(queue, keep_bands=1, upload=b"pixels")
    await asyncio.sleep(0.15)
    with pytest.raises(NotFound, match="expired"):
        await queue.retry_dead(dead.id)
    assert len(await queue.dead_letters()) == 1


async def test_a_letter_outlives_its_job_for_a_while(new_queue: NewQueue) -> None:
    queue = new_queue(
        QueueLimits(
            lease_seconds=0.03, max_attempts=1, retention_seconds=0.05, dead_letter_seconds=0.4
        )
    )
    dead = await queue.submit(request_of())
    await use_up(queue, attempts=1)
    await asyncio.sleep(0.1)
    with pytest.raises(NotFound):
        await queue.job(dead.id)
    assert [letter.job_id for letter in await queue.dead_letters()] == [dead.id]
    await asyncio.sleep(0.4)
    assert list(await queue.dead_letters()) == []


async def test_the_newest_letters_push_the_oldest_out(new_queue: NewQueue) -> None:
    queue = new_queue(QueueLimits(lease_seconds=0.03, max_attempts=1, max_dead_letters=3))
    jobs = [await queue.submit(request_of()) for _ in range(5)]
    await use_up(queue, attempts=1)
    letters = await queue.dead_letters()
    assert [letter.job_id for letter in letters] == [job.id for job in jobs[2:]]


async def test_a_retry_needs_room_as_any_job_does(new_queue: NewQueue) -> None:
    queue = new_queue(QueueLimits(lease_seconds=0.03, max_attempts=2, max_depth=1))
    dead = await dead_job(queue)
    waiting = await queue.submit(request_of())
    with pytest.raises(QueueFull):
        await queue.retry_dead(dead.id)
    assert len(await queue.dead_letters()) == 1
    await queue.cancel(waiting.id)
    await queue.retry_dead(dead.id)
