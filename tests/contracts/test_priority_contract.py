"""The laws of priorities, held by the queue in Redis and its twin in memory alike."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from service.domain import PRIORITIES, JobCompleted, Priority
from service.jobs.queue import Backlog, JobQueue, QueueLimits
from tests.queue_calls import NewQueue, lease_one
from tests.requests import request_of

HEAD_START_SECONDS = 0.1


@pytest.fixture
def queue(new_queue: NewQueue) -> JobQueue:
    return new_queue(QueueLimits())


async def submitted(queue: JobQueue, *priorities: Priority) -> list[str]:
    return [(await queue.submit(request_of(priority=each))).id for each in priorities]


async def leased(queue: JobQueue) -> list[str]:
    """All that wait, in the order in which a worker gets them."""
    ids = []
    while leases := await queue.lease("w", model="fake", count=1, wait_seconds=0):
        ids.append(leases[0].job.id)
    return ids


async def positions(queue: JobQueue, ids: Sequence[str]) -> list[int | None]:
    return [await queue.position(job_id) for job_id in ids]


async def test_higher_priorities_go_first_and_equals_in_order(queue: JobQueue) -> None:
    low, normal, high, low_2, high_2, normal_2 = ids = await submitted(
        queue, "low", "normal", "high", "low", "high", "normal"
    )
    assert await positions(queue, ids) == [4, 2, 0, 5, 1, 3]
    assert await leased(queue) == [high, high_2, normal, normal_2, low, low_2]


async def test_one_call_takes_several_in_their_turn(queue: JobQueue) -> None:
    low, normal, high = await submitted(queue, *reversed(PRIORITIES))
    leases = await queue.lease("w", model="fake", count=5, wait_seconds=0)
    assert [lease.job.id for lease in leases] == [high, normal, low]


async def test_a_head_start_is_all_that_a_priority_is_worth(new_queue: NewQueue) -> None:
    queue = new_queue(QueueLimits(head_start_seconds=HEAD_START_SECONDS))
    (low,) = await submitted(queue, "low")
    await asyncio.sleep(1.2 * HEAD_START_SECONDS)
    normal, high = await submitted(queue, "normal", "high")
    # From low to high there are two steps.
    assert await positions(queue, [low, normal, high]) == [1, 2, 0]
    await asyncio.sleep(1.2 * HEAD_START_SECONDS)
    (late,) = await submitted(queue, "high")
    assert await positions(queue, [low, normal, high, late]) == [1, 2, 0, 3]
    assert await leased(queue) == [high, low, normal, late]


async def test_a_stream_of_high_ones_does_not_starve_a_low_one(new_queue: NewQueue) -> None:
    queue = new_queue(QueueLimits(head_start_seconds=0.05))
    (low,) = await submitted(queue, "low")
    overtaken = 0
    async with asyncio.timeout(5):
        while True:
            await submitted(queue, "high", "high")
            lease = await lease_one(queue)
            await queue.finish(lease, JobCompleted())
            if lease.job.id == low:
                break
            overtaken += 1
            await asyncio.sleep(0.01)
    assert overtaken >= 3


async def test_what_was_handed_back_goes_first_whatever_comes(queue: JobQueue) -> None:
    low, high = await submitted(queue, "low", "high")
    leases = await queue.lease("w", model="fake", count=2, wait_seconds=0)
    for lease in leases:
        await queue.hand_back(lease)
    (new,) = await submitted(queue, "high")
    assert await positions(queue, [low, high, new]) == [1, 0, 2]
    assert await leased(queue) == [high, low, new]


async def test_the_backlog_is_told_as_a_new_job_of_a_priority_would_meet_it(
    new_queue: NewQueue,
) -> None:
    queue = new_queue(QueueLimits(head_start_seconds=HEAD_START_SECONDS))
    await submitted(queue, "low", "low", "normal", "normal", "normal", "high")
    assert await queue.backlog("fake") == Backlog(waiting=6, running=0)

    async def ahead() -> list[int]:
        return [(await queue.backlog("fake", ahead_of=priority)).waiting for priority in PRIORITIES]

    assert await ahead() == [1, 4, 6]
    await asyncio.sleep(1.2 * HEAD_START_SECONDS)
    assert await ahead() == [4, 6, 6]
    await asyncio.sleep(1.2 * HEAD_START_SECONDS)
    assert await ahead() == [6, 6, 6]
    await lease_one(queue)
    assert await queue.backlog("fake", ahead_of="high") == Backlog(waiting=5, running=1)


@pytest.mark.parametrize("priority", PRIORITIES)
async def test_a_job_of_any_priority_wakes_cancels_and_ends(
    queue: JobQueue, priority: Priority
) -> None:
    waiting = asyncio.create_task(queue.lease("w", model="fake", count=1, wait_seconds=5))
    await asyncio.sleep(0.05)
    (job_id,) = await submitted(queue, priority)
    (lease,) = await asyncio.wait_for(waiting, timeout=2)
    assert lease.job.id == job_id
    await queue.finish(lease, JobCompleted())
    (job_id,) = await submitted(queue, priority)
    await queue.cancel(job_id)
    assert await queue.depth() == 0
    assert list(await queue.lease("w", model="fake", count=1, wait_seconds=0)) == []
