"""The laws of jobs that no engine is left for, held by the queue in Redis and its twin alike."""

from __future__ import annotations

import asyncio

import pytest

from service.domain import Job, JobCompleted, JobState
from service.errors import JobLost, NotFound
from service.jobs.progress import UNSERVED
from service.jobs.queue import Attendee, JobQueue
from tests.queue_calls import LEASE_SECONDS, band, lease_one, log_of
from tests.requests import request_of

CALLER = Attendee(id="gateway", seconds=60)


async def submit(queue: JobQueue) -> Job:
    return await queue.submit(request_of(), attendee=CALLER)


async def has_failed(queue: JobQueue, job: Job) -> bool:
    """As a whole: log, state, depth, and nothing is left for a worker to take."""
    state = (await queue.job(job.id)).state
    if state is not JobState.FAILED:
        return False
    assert (await log_of(queue, job.id))[-1].event == UNSERVED
    assert await queue.depth() == 0
    assert not await queue.lease("w", model="fake", count=1, wait_seconds=0)
    return True


async def test_a_job_that_waits_fails_at_once(queue: JobQueue) -> None:
    job = await submit(queue)
    await queue.fail_unserved(job.id)
    assert await has_failed(queue, job)


async def test_so_does_one_that_was_handed_back(queue: JobQueue) -> None:
    job = await submit(queue)
    await queue.hand_back(await lease_one(queue))
    await queue.fail_unserved(job.id)
    assert await has_failed(queue, job)


async def test_a_job_that_is_held_is_its_holders(queue: JobQueue) -> None:
    job = await submit(queue)
    lease = await lease_one(queue)
    await queue.fail_unserved(job.id)
    assert not await queue.publish(lease, band(0), pictures={})
    await queue.finish(lease, JobCompleted())
    await queue.fail_unserved(job.id)
    assert (await queue.job(job.id)).state is JobState.COMPLETED


async def test_a_lease_that_has_lapsed_holds_nothing(queue: JobQueue) -> None:
    job = await submit(queue)
    lease = await lease_one(queue)
    await asyncio.sleep(2 * LEASE_SECONDS)
    await queue.fail_unserved(job.id)
    assert await has_failed(queue, job)
    with pytest.raises(JobLost):
        await queue.publish(lease, band(0), pictures={"00": b"late"})
    with pytest.raises(NotFound):
        await queue.picture(job.id, "00")


async def test_a_job_whose_caller_need_not_stay_waits_on(queue: JobQueue) -> None:
    job = await queue.submit(request_of())
    await queue.fail_unserved(job.id)
    await queue.fail_unserved("nobody")
    assert (await lease_one(queue)).job.id == job.id
