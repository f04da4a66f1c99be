"""The laws of jobs that change hands between engines, held by both queues alike."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from service.domain import JobStarted, JobState
from service.errors import JobLost
from service.jobs.progress import ENGINE_GONE
from service.jobs.queue import JobQueue, Lease, QueueLimits
from tests.queue_calls import LEASE_SECONDS, NewQueue, band, log_of
from tests.requests import request_of

WAIT_SECONDS = 0.3


async def lease(queue: JobQueue, engine: str | None) -> Sequence[Lease]:
    return await queue.lease("w", model="fake", count=1, wait_seconds=0, engine=engine)


async def begun(queue: JobQueue, engine: str | None) -> Lease:
    """A job whose first band is logged."""
    await queue.submit(request_of())
    (found,) = await lease(queue, engine)
    await queue.publish(found, band(0), pictures={})
    return found


async def give_up(queue: JobQueue, held: Lease, how: str) -> None:
    if how == "handed back":
        await queue.hand_back(held)
    else:
        await asyncio.sleep(2 * LEASE_SECONDS)


@pytest.mark.parametrize("how", ["handed back", "lapsed"])
async def test_what_an_engine_has_begun_waits_for_its_like(queue: JobQueue, how: str) -> None:
    old = await begun(queue, "triton")
    await give_up(queue, old, how)
    for _ in range(2):
        assert list(await lease(queue, "torch")) == []
        assert (await queue.job(old.job.id)).state is JobState.QUEUED
        assert await queue.position(old.job.id) == 0
    (new,) = await lease(queue, "triton")
    assert new.job.id == old.job.id
    with pytest.raises(JobLost):
        await queue.publish(old, band(1), pictures={})
    await queue.publish(new, band(1), pictures={})
    started = [each.event for each in await queue.history(new.job.id)][1:4:2]
    assert started == [JobStarted(attempt=1), JobStarted(attempt=new.job.attempts)]


async def test_it_stands_in_nobodys_way(queue: JobQueue) -> None:
    await queue.hand_back(await begun(queue, "triton"))
    fresh = await queue.submit(request_of())
    (found,) = await lease(queue, "torch")
    assert found.job.id == fresh.id


@pytest.mark.parametrize("how", ["handed back", "lapsed"])
async def test_what_nothing_was_drawn_of_goes_to_any_engine(queue: JobQueue, how: str) -> None:
    await queue.submit(request_of())
    (old,) = await lease(queue, "triton")
    await give_up(queue, old, how)
    (new,) = await lease(queue, "torch")
    await queue.publish(new, band(0), pictures={})
    await queue.hand_back(new)
    # Bound to who drew it, not to who had it first.
    assert list(await lease(queue, "triton")) == []
    assert len(await lease(queue, "torch")) == 1


@pytest.mark.parametrize(("first", "later"), [("triton", None), (None, "triton")])
async def test_who_does_not_tell_its_engine_fits_all(
    queue: JobQueue, first: str | None, later: str | None
) -> None:
    await queue.hand_back(await begun(queue, first))
    assert len(await lease(queue, later)) == 1


async def test_a_job_whose_engine_does_not_come_back_fails(new_queue: NewQueue) -> None:
    queue = new_queue(QueueLimits(engine_wait_seconds=WAIT_SECONDS))
    held = await begun(queue, "triton")
    await queue.hand_back(held)
    assert list(await lease(queue, "torch")) == []
    await asyncio.sleep(WAIT_SECONDS + 0.05)
    assert list(await lease(queue, "torch")) == []
    assert (await log_of(queue, held.job.id))[-1].event == ENGINE_GONE
    assert await queue.depth() == 0
    (letter,) = await queue.dead_letters()
    assert (letter.job_id, letter.failure) == (held.job.id, ENGINE_GONE)
    retried = await queue.retry_dead(held.job.id)
    (found,) = await lease(queue, "torch")
    assert found.job.id == retried.id


async def test_the_wait_begins_anew_with_every_lease(new_queue: NewQueue) -> None:
    queue = new_queue(QueueLimits(engine_wait_seconds=WAIT_SECONDS))
    await queue.hand_back(await begun(queue, "triton"))
    assert list(await lease(queue, "torch")) == []
    (again,) = await lease(queue, "triton")
    await asyncio.sleep(WAIT_SECONDS + 0.05)
    await queue.hand_back(again)
    assert list(await lease(queue, "torch")) == []
    assert (await queue.job(again.job.id)).state is JobState.QUEUED


async def test_a_cancelled_job_does_not_wait_for_its_engine(queue: JobQueue) -> None:
    held = await begun(queue, "triton")
    await queue.hand_back(held)
    assert list(await lease(queue, "torch")) == []
    await queue.cancel(held.job.id)
    assert (await queue.job(held.job.id)).state is JobState.CANCELLED
