"""The laws of leases and cancelling, held by the queue in Redis and its twin in memory alike."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from service.domain import (
    JobCancelled,
    JobCompleted,
    JobFailed,
    JobState,
    is_terminal,
)
from service.errors import JobLost, NotFound
from service.jobs.queue import JobQueue, QueueLimits
from tests.queue_calls import LEASE_SECONDS, NewQueue, band, lease_one, log_of
from tests.requests import request_of


async def test_a_lapsed_lease_is_taken_over_and_its_holder_fenced_off(queue: JobQueue) -> None:
    job = await queue.submit(request_of())
    old = await lease_one(queue, "old")
    await asyncio.sleep(2 * LEASE_SECONDS)
    new = await lease_one(queue, "new")
    assert new.job.id == job.id
    assert new.epoch > old.epoch
    assert new.job.attempts == 2
    writes: list[Callable[[], Awaitable[object]]] = [
        lambda: queue.publish(old, band(0), pictures={"00": b"late"}),
        lambda: queue.finish(old, JobCompleted()),
        lambda: queue.renew(old),
        lambda: queue.hand_back(old),
    ]
    for write in writes:
        with pytest.raises(JobLost):
            await write()
    with pytest.raises(NotFound):
        await queue.picture(job.id, "00")
    await queue.finish(new, JobCompleted())
    assert sum(is_terminal(logged.event) for logged in await log_of(queue, job.id)) == 1


async def test_of_many_who_go_for_the_same_jobs_each_job_goes_to_one(queue: JobQueue) -> None:
    jobs = {(await queue.submit(request_of())).id for _ in range(3)}
    await queue.lease("dies", model="fake", count=2, wait_seconds=0)
    await asyncio.sleep(2 * LEASE_SECONDS)
    calls = (
        queue.lease(f"w{number}", model="fake", count=1, wait_seconds=0) for number in range(20)
    )
    taken = [lease.job.id for leases in await asyncio.gather(*calls) for lease in leases]
    assert len(taken) == 3
    assert set(taken) == jobs


async def test_a_lapsed_lease_is_found_among_many_that_are_held(new_queue: NewQueue) -> None:
    queue = new_queue(QueueLimits(lease_seconds=2.0))
    jobs = [await queue.submit(request_of()) for _ in range(40)]
    *held, _ = await queue.lease("holder", model="fake", count=40, wait_seconds=0)

    async def hold() -> None:
        # All the time, as a worker does: on a busy machine one round of it may take long.
        while True:
            for lease in held:
                await queue.renew(lease)
            await asyncio.sleep(0.1)

    holding = asyncio.create_task(hold())
    await asyncio.sleep(2.2)
    (taken,) = await queue.lease("next", model="fake", count=3, wait_seconds=0)
    holding.cancel()
    assert taken.job.id == jobs[-1].id


async def test_a_job_that_has_to_end_does_not_take_the_place_of_one_that_can_run(
    new_queue: NewQueue,
) -> None:
    queue = new_queue(QueueLimits(lease_seconds=0.05, max_attempts=1))
    spent = [await queue.submit(request_of()) for _ in range(2)]
    await queue.lease("dies", model="fake", count=2, wait_seconds=0)
    fresh = await queue.submit(request_of())
    await asyncio.sleep(0.1)
    (lease,) = await queue.lease("next", model="fake", count=1, wait_seconds=0)
    assert lease.job.id == fresh.id
    for job in spent:
        assert (await queue.job(job.id)).state is JobState.FAILED


async def test_a_renewed_lease_is_not_taken_over(queue: JobQueue) -> None:
    await queue.submit(request_of())
    lease = await lease_one(queue, "holder")
    for _ in range(6):
        await asyncio.sleep(LEASE_SECONDS / 3)
        assert await queue.renew(lease) is False
        assert list(await queue.lease("thief", model="fake", count=1, wait_seconds=0)) == []


async def test_a_job_that_kills_its_workers_fails_in_the_end(new_queue: NewQueue) -> None:
    queue = new_queue(QueueLimits(lease_seconds=0.05, max_attempts=2))
    job = await queue.submit(request_of())
    for worker in ("a", "b"):
        await lease_one(queue, worker)
        await asyncio.sleep(0.1)
    assert list(await queue.lease("c", model="fake", count=1, wait_seconds=0)) == []
    assert isinstance((await log_of(queue, job.id))[-1].event, JobFailed)
    assert (await queue.job(job.id)).state is JobState.FAILED
    assert await queue.depth() == 0


async def test_a_job_handed_back_goes_first_and_does_not_count(queue: JobQueue) -> None:
    first, second = [await queue.submit(request_of()) for _ in range(2)]
    lease = await lease_one(queue, "leaving")
    await queue.hand_back(lease)
    assert (await queue.job(first.id)).state is JobState.QUEUED
    leases = await queue.lease("next", model="fake", count=2, wait_seconds=0)
    assert [lease.job.id for lease in leases] == [first.id, second.id]
    assert leases[0].job.attempts == 1
    with pytest.raises(JobLost):
        await queue.finish(lease, JobCompleted())


async def test_jobs_handed_back_keep_their_order(queue: JobQueue) -> None:
    jobs = [await queue.submit(request_of()) for _ in range(3)]
    for lease in await queue.lease("leaving", model="fake", count=2, wait_seconds=0):
        await queue.hand_back(lease)
    leases = await queue.lease("next", model="fake", count=3, wait_seconds=0)
    assert [lease.job.id for lease in leases] == [job.id for job in jobs]


async def test_cancelling_a_waiting_job_ends_it_at_once(queue: JobQueue) -> None:
    job = await queue.submit(request_of())
    await queue.cancel(job.id)
    assert (await log_of(queue, job.id))[-1].event == JobCancelled()
    assert list(await queue.lease("w", model="fake", count=1, wait_seconds=0)) == []
    assert await queue.depth() == 0
    await queue.cancel(job.id)
    assert (await queue.job(job.id)).state is JobState.CANCELLED


async def test_cancelling_a_job_handed_back_ends_it_at_once(queue: JobQueue) -> None:
    job = await queue.submit(request_of())
    await queue.hand_back(await lease_one(queue))
    await queue.cancel(job.id)
    assert (await log_of(queue, job.id))[-1].event == JobCancelled()
    assert list(await queue.lease("w", model="fake", count=1, wait_seconds=0)) == []


async def test_the_holder_of_a_running_job_hears_of_its_cancelling(queue: JobQueue) -> None:
    job = await queue.submit(request_of())
    lease = await lease_one(queue)
    assert await queue.publish(lease, band(0), pictures={}) is False
    await queue.cancel(job.id)
    assert (await queue.job(job.id)).state is JobState.RUNNING
    assert await queue.renew(lease) is True
    assert await queue.publish(lease, band(1), pictures={}) is True
    await queue.finish(lease, JobCancelled())
    assert (await queue.job(job.id)).state is JobState.CANCELLED


async def test_a_cancelled_job_is_not_taken_over(queue: JobQueue) -> None:
    job = await queue.submit(request_of())
    await lease_one(queue, "dies")
    await queue.cancel(job.id)
    await asyncio.sleep(2 * LEASE_SECONDS)
    assert list(await queue.lease("next", model="fake", count=1, wait_seconds=0)) == []
    assert (await log_of(queue, job.id))[-1].event == JobCancelled()


async def test_an_ended_job_takes_no_more_writes(queue: JobQueue) -> None:
    job = await queue.submit(request_of())
    lease = await lease_one(queue)
    await queue.finish(lease, JobCompleted())
    await queue.cancel(job.id)
    with pytest.raises(JobLost):
        await queue.publish(lease, band(0), pictures={})
    with pytest.raises(JobLost):
        await queue.finish(lease, JobCancelled())
    assert [logged.event for logged in await log_of(queue, job.id)][-1] == JobCompleted()


async def test_an_attempt_that_counts_is_one_of_the_few(new_queue: NewQueue) -> None:
    queue = new_queue(QueueLimits(lease_seconds=60, max_attempts=2))
    job = await queue.submit(request_of())
    for _ in range(2):
        await queue.hand_back(await lease_one(queue), counts=True)
    assert not await queue.lease("w", model="fake", count=1, wait_seconds=0)
    assert (await queue.job(job.id)).state is JobState.FAILED
