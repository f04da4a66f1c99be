"""The laws of idempotency keys, held by the queue in Redis and its twin in memory alike."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from service.domain import JobCompleted, JobState
from service.errors import IdempotencyConflict, QueueFull
from service.jobs.queue import IdempotencyKey, JobQueue, QueueLimits, Submission
from tests.queue_calls import NewQueue, lease_one
from tests.requests import request_of

ONCE = IdempotencyKey(key="a key: ~", fingerprint="f")


async def test_the_same_key_is_the_same_job(queue: JobQueue) -> None:
    first = await queue.submit_once(request_of(seed=1), ONCE)
    # What was drawn for the repetition does not matter; the first request is the one.
    again = await queue.submit_once(request_of(seed=2), ONCE)
    assert (first.replayed, again.replayed) == (False, True)
    assert again.job == first.job == await queue.job(first.job.id)
    assert await queue.depth() == 1


async def test_other_keys_and_no_keys_are_jobs_of_their_own(queue: JobQueue) -> None:
    made = [await queue.submit_once(request_of(), replace(ONCE, key=key)) for key in "ab"]
    jobs = [each.job.id for each in made] + [(await queue.submit(request_of())).id]
    assert len(set(jobs)) == 3


async def test_the_same_key_for_another_request_is_refused_by_name(queue: JobQueue) -> None:
    await queue.submit_once(request_of(), ONCE)
    with pytest.raises(IdempotencyConflict) as refused:
        await queue.submit_once(request_of(), replace(ONCE, fingerprint="g"))
    assert refused.value.field == "idempotency-key"
    assert await queue.depth() == 1


async def test_racing_submissions_are_one_job(queue: JobQueue) -> None:
    calls = [queue.submit_once(request_of(seed=seed), ONCE) for seed in range(20)]
    made = await asyncio.gather(*calls)
    assert len({each.job.id for each in made}) == 1
    assert len({each.job.request.seed for each in made}) == 1
    assert [each.replayed for each in made].count(False) == 1
    assert await queue.depth() == 1
    assert len(await queue.lease("w", model="fake", count=5, wait_seconds=0)) == 1


async def test_of_racing_requests_under_one_key_one_wins(queue: JobQueue) -> None:
    keys = [replace(ONCE, fingerprint=str(number % 2)) for number in range(20)]
    calls = [queue.submit_once(request_of(), once) for once in keys]
    made = await asyncio.gather(*calls, return_exceptions=True)
    jobs = [each.job.id for each in made if isinstance(each, Submission)]
    assert (len(jobs), len(set(jobs))) == (10, 1)
    assert sum(isinstance(each, IdempotencyConflict) for each in made) == 10


async def test_a_full_queue_still_knows_its_keys_and_keeps_none_of_the_refused(
    queue: JobQueue,
) -> None:
    first = await queue.submit_once(request_of(), ONCE)
    for _ in range(4):
        await queue.submit(request_of())
    other = replace(ONCE, key="other")
    with pytest.raises(QueueFull):
        await queue.submit_once(request_of(), other)
    assert (await queue.submit_once(request_of(), ONCE)).job.id == first.job.id
    await queue.cancel(first.job.id)
    assert not (await queue.submit_once(request_of(), other)).replayed


async def test_a_key_is_kept_exactly_as_long_as_its_job(new_queue: NewQueue) -> None:
    queue = new_queue(QueueLimits(retention_seconds=0.3))
    job = (await queue.submit_once(request_of(), ONCE)).job
    lease = await lease_one(queue)
    await asyncio.sleep(0.5)
    running = await queue.submit_once(request_of(), ONCE)
    assert (running.replayed, running.job.state) == (True, JobState.RUNNING)
    await queue.finish(lease, JobCompleted())
    ended = await queue.submit_once(request_of(), ONCE)
    assert (ended.job.id, ended.job.state) == (job.id, JobState.COMPLETED)
    await asyncio.sleep(0.5)
    fresh = await queue.submit_once(request_of(), replace(ONCE, fingerprint="g"))
    assert not fresh.replayed
    await asyncio.sleep(0.5)
    # The first job's time to live is not the second one's.
    assert (await queue.submit_once(request_of(), replace(ONCE, fingerprint="g"))).replayed
