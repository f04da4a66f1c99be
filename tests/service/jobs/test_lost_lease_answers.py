"""A call for jobs whose answer is lost on its way: what it took is told to whoever asks again."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.exceptions import TimeoutError

from service.domain import JobCompleted, JobState
from service.errors import JobLost, QueueUnavailable
from service.jobs.queue import Lease, QueueLimits
from service.jobs.redis_connection import connect
from service.jobs.redis_queue import RedisQueue
from service.stack.redis_server import RedisServer
from tests.queue_calls import band, lease_one
from tests.requests import request_of

LEASE_SECONDS = 0.3


@pytest.fixture
async def queue(redis_server: RedisServer) -> AsyncIterator[RedisQueue]:
    limits = QueueLimits(lease_seconds=LEASE_SECONDS, max_attempts=2)
    queue = RedisQueue(connect(redis_server.url), name=uuid.uuid4().hex, limits=limits)
    yield queue
    await queue.close()


async def ask_in_vain(queue: RedisQueue, *, times: int = 1, count: int = 1) -> None:
    """Calls that Redis carries out, and whose answers come to nobody."""
    answered = queue._scripts.lease

    async def unanswered(keys: Any, args: Any) -> Any:
        await answered(keys, args)
        raise TimeoutError("too late")

    queue._scripts.lease = unanswered  # type: ignore[assignment]
    for _ in range(times):
        with pytest.raises(QueueUnavailable):
            await queue.lease("w", model="fake", count=count, wait_seconds=0)
        await asyncio.sleep(LEASE_SECONDS / 3)
    queue._scripts.lease = answered


async def nothing_for(queue: RedisQueue, worker: str) -> bool:
    return not await queue.lease(worker, model="fake", count=9, wait_seconds=0)


async def test_what_was_taken_is_told_again_and_counts_once(queue: RedisQueue) -> None:
    jobs = {(await queue.submit(request_of())).id for _ in range(2)}
    await ask_in_vain(queue, count=2)
    leases = await queue.lease("w", model="fake", count=2, wait_seconds=0)
    assert {lease.job.id for lease in leases} == jobs
    for lease in leases:
        assert lease.job.attempts == 1
        await queue.publish(lease, band(0), pictures={})
        await queue.finish(lease, JobCompleted())
    assert await nothing_for(queue, "w")


async def test_a_worker_that_goes_on_asking_is_not_taken_for_dead(queue: RedisQueue) -> None:
    job = await queue.submit(request_of())
    await ask_in_vain(queue, times=9)
    assert await nothing_for(queue, "other")
    lease = await lease_one(queue)
    assert (lease.job.id, lease.job.attempts, lease.epoch) == (job.id, 1, 1)
    # Its age is that of now: a deadline is judged by it.
    assert lease.leased_at - lease.job.created_at > 2 * LEASE_SECONDS


async def test_one_that_stops_asking_is(queue: RedisQueue) -> None:
    job = await queue.submit(request_of())
    await ask_in_vain(queue)
    await asyncio.sleep(2 * LEASE_SECONDS)
    lease = await lease_one(queue, "other")
    assert lease.job.attempts == 2
    assert await nothing_for(queue, "w")
    await queue.finish(lease, JobCompleted())
    assert (await queue.job(job.id)).state is JobState.COMPLETED


async def test_what_has_ended_meanwhile_is_not_told_again(queue: RedisQueue) -> None:
    await queue.submit(request_of())
    await ask_in_vain(queue)
    call = queue._unanswered["w"]
    await queue.finish(await lease_one(queue), JobCompleted())
    queue._unanswered["w"] = call
    assert await nothing_for(queue, "w")


async def test_each_call_that_is_answered_takes_jobs_of_its_own(queue: RedisQueue) -> None:
    await asyncio.gather(*(queue.submit(request_of()) for _ in range(6)))
    calls = (queue.lease("w", model="fake", count=1, wait_seconds=0) for _ in range(6))
    leases: list[Lease] = [lease for found in await asyncio.gather(*calls) for lease in found]
    assert len({lease.job.id for lease in leases}) == 6
    await queue.hand_back(leases[0])
    with pytest.raises(JobLost):
        await queue.publish(leases[0], band(0), pictures={})


async def test_the_client_that_repeats_a_command_takes_no_second_job(queue: RedisQueue) -> None:
    """As it does by itself when a connection breaks."""
    for _ in range(2):
        await queue.submit(request_of())
    once = queue._scripts.lease

    async def twice(keys: Any, args: Any) -> Any:
        await once(keys, args)
        return await once(keys, args)

    queue._scripts.lease = twice  # type: ignore[assignment]
    await lease_one(queue)
    assert (await queue.backlog("fake")).running == 1
