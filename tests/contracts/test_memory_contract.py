"""The laws of admission by bytes, held by the queue in Redis and its twin in memory alike."""

from __future__ import annotations

import asyncio

import pytest

from service.domain import JobCompleted
from service.errors import QueueFull
from service.jobs.queue import IdempotencyKey, JobQueue, QueueLimits
from tests.queue_calls import NewQueue, lease_one
from tests.requests import request_of

# So much that what else a Redis holds makes no difference.
HUGE = 2**40
ONCE = IdempotencyKey(key="k", fingerprint="f")


@pytest.fixture
def queue(new_queue: NewQueue) -> JobQueue:
    return new_queue(QueueLimits(memory_bytes=5 * HUGE // 2, lease_seconds=0.03, max_attempts=1))


async def test_a_job_that_would_not_fit_is_refused_by_name(queue: JobQueue) -> None:
    for _ in range(2):
        await queue.submit(request_of(), footprint=HUGE)
    with pytest.raises(QueueFull, match="memory") as refused:
        await queue.submit(request_of(), footprint=HUGE)
    assert refused.value.retry_after_s is not None
    with pytest.raises(QueueFull, match="memory"):
        await queue.submit_once(request_of(), ONCE, footprint=HUGE)
    # A smaller one fits still.
    await queue.submit(request_of(), footprint=HUGE // 4)
    assert await queue.depth() == 3


async def test_every_end_gives_the_promise_back(queue: JobQueue) -> None:
    assert (await queue.memory()).promised == 0
    waiting = await queue.submit(request_of(), footprint=1000)
    done = await queue.submit(request_of(), footprint=200)
    assert (await queue.memory()).promised == 1200
    await queue.cancel(waiting.id)
    assert (await queue.memory()).promised == 200
    lease = await lease_one(queue)
    assert lease.job.id == done.id
    await queue.hand_back(lease)
    await queue.finish(await lease_one(queue), JobCompleted())
    assert (await queue.memory()).promised == 0
    await queue.submit(request_of(), footprint=30)
    await queue.submit(request_of(start_within_ms=1), footprint=4)
    dies = await lease_one(queue)
    await asyncio.sleep(0.06)
    await queue.fail_late("fake")
    assert (await queue.memory()).promised == 30
    await queue.lease("w", model="fake", count=1, wait_seconds=0)
    assert (await queue.memory()).promised == 0
    await queue.retry_dead(dies.job.id)
    assert (await queue.memory()).promised == 30


async def test_a_repeated_submission_promises_once(queue: JobQueue) -> None:
    for _ in range(3):
        await queue.submit_once(request_of(), ONCE, footprint=HUGE)
    assert (await queue.memory()).promised == HUGE


async def test_without_a_budget_there_is_no_limit(new_queue: NewQueue) -> None:
    queue = new_queue(QueueLimits())
    for _ in range(3):
        await queue.submit(request_of(), footprint=HUGE)
    memory = await queue.memory()
    assert (memory.promised, memory.most) == (3 * HUGE, None)
