"""The laws of attached jobs, held by the queue in Redis and its twin in memory alike."""

from __future__ import annotations

import asyncio

from service.domain import Job, JobCancelled, JobCompleted, JobState
from service.jobs.queue import Attendee, JobQueue, QueueLimits
from tests.queue_calls import NewQueue, band, lease_one, log_of
from tests.requests import request_of

SECONDS = 0.15
GATEWAY = Attendee(id="gateway", seconds=SECONDS)
OTHER = Attendee(id="other", seconds=60)
FAITHFUL = Attendee(id="gateway", seconds=60)


async def submit(queue: JobQueue, attendee: Attendee | None = GATEWAY) -> Job:
    return await queue.submit(request_of(), attendee=attendee)


async def test_a_job_tells_whether_it_is_attached(queue: JobQueue) -> None:
    attached, native = await submit(queue), await submit(queue, None)
    assert attached.attached
    assert not native.attached
    assert (await queue.job(attached.id)).attached
    assert not (await queue.job(native.id)).attached
    assert [(await lease_one(queue)).job.attached for _ in range(2)] == [True, False]


async def test_a_running_job_stops_at_its_next_band_once_its_gateway_is_silent(
    queue: JobQueue,
) -> None:
    await submit(queue)
    lease = await lease_one(queue)
    assert not await queue.publish(lease, band(0), pictures={})
    await asyncio.sleep(2 * SECONDS)
    assert await queue.publish(lease, band(1), pictures={})


async def test_the_renewal_of_a_lease_finds_it_too(new_queue: NewQueue) -> None:
    queue = new_queue(QueueLimits(lease_seconds=5))
    await submit(queue)
    lease = await lease_one(queue)
    assert not await queue.renew(lease)
    await asyncio.sleep(2 * SECONDS)
    assert await queue.renew(lease)


async def test_a_waiting_job_is_cancelled_instead_of_being_leased(queue: JobQueue) -> None:
    abandoned, native = await submit(queue), await submit(queue, None)
    await asyncio.sleep(2 * SECONDS)
    assert (await lease_one(queue)).job.id == native.id
    assert (await log_of(queue, abandoned.id))[-1].event == JobCancelled()


async def test_a_gateway_that_says_it_again_keeps_its_job(queue: JobQueue) -> None:
    job = await submit(queue)
    for _ in range(4):
        await asyncio.sleep(SECONDS / 2)
        await queue.attend([job.id], GATEWAY)
    assert (await lease_one(queue)).job.id == job.id


async def test_who_leaves_cancels_a_job_that_nobody_else_waits_for(queue: JobQueue) -> None:
    waiting = await submit(queue, FAITHFUL)
    await queue.leave(waiting.id, FAITHFUL)
    assert (await queue.job(waiting.id)).state is JobState.CANCELLED
    await submit(queue, FAITHFUL)
    lease = await lease_one(queue)
    await queue.leave(lease.job.id, FAITHFUL)
    assert await queue.publish(lease, band(0), pictures={})


async def test_another_who_waits_keeps_a_job_alive(queue: JobQueue) -> None:
    job = await submit(queue)
    await queue.attend([job.id], OTHER)
    await queue.leave(job.id, GATEWAY)
    await asyncio.sleep(2 * SECONDS)
    lease = await lease_one(queue)
    assert not await queue.publish(lease, band(0), pictures={})
    await queue.leave(job.id, OTHER)
    assert await queue.publish(lease, band(1), pictures={})


async def test_a_job_that_is_not_attached_needs_nobody(queue: JobQueue) -> None:
    job = await submit(queue, None)
    await queue.attend([job.id], GATEWAY)
    await queue.leave(job.id, GATEWAY)
    await asyncio.sleep(2 * SECONDS)
    lease = await lease_one(queue)
    assert not lease.job.attached
    assert not await queue.publish(lease, band(0), pictures={})


async def test_to_attend_or_leave_what_has_ended_or_never_was_changes_nothing(
    queue: JobQueue,
) -> None:
    job = await submit(queue, FAITHFUL)
    await queue.finish(await lease_one(queue), JobCompleted())
    before = await log_of(queue, job.id)
    for job_id in (job.id, "nobody"):
        await queue.attend([job_id], FAITHFUL)
        await queue.leave(job_id, FAITHFUL)
    assert await log_of(queue, job.id) == before
    assert not (await queue.job(job.id)).attached
