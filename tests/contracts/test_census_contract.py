"""What is in the queue, as it is told to Prometheus."""

from __future__ import annotations

import asyncio

from service.domain import JobCompleted
from service.jobs.queue import Census, JobQueue, QueueLimits
from tests.queue_calls import NewQueue
from tests.requests import request_of


async def test_an_empty_queue_has_no_oldest_job(queue: JobQueue) -> None:
    assert await queue.census() == Census(depth=0, oldest_age_seconds=0.0, dead_letters=0)


async def test_the_oldest_is_the_one_that_has_not_ended_for_longest(queue: JobQueue) -> None:
    first = await queue.submit(request_of())
    await asyncio.sleep(0.2)
    await queue.submit(request_of())
    census = await queue.census()
    assert census.depth == 2
    assert 0.2 <= census.oldest_age_seconds < 30
    (lease,) = await queue.lease("w", model=first.request.model, count=1, wait_seconds=0)
    assert lease.job.id == first.id
    await queue.finish(lease, JobCompleted())
    later = await queue.census()
    assert later.depth == 1
    assert later.oldest_age_seconds < census.oldest_age_seconds + 30


async def test_dead_letters_are_counted(new_queue: NewQueue) -> None:
    queue = new_queue(QueueLimits(lease_seconds=0.05, max_attempts=1))
    job = await queue.submit(request_of())
    await queue.lease("w", model=job.request.model, count=1, wait_seconds=0)
    await asyncio.sleep(0.1)
    await queue.lease("w", model=job.request.model, count=1, wait_seconds=0)
    assert (await queue.census()).dead_letters == 1
