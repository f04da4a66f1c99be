"""The laws of tenants and their limits, held by the queue in Redis and its twin in memory alike."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from service.domain import Job, JobCompleted, JobFailed
from service.errors import IdempotencyConflict, NotFound, QueueFull, RateLimitExceeded
from service.jobs.queue import IdempotencyKey, JobQueue, Owner, QueueLimits
from tests.queue_calls import LEASE_SECONDS, NewQueue, lease_one
from tests.requests import request_of

ACME = Owner(tenant="acme", max_jobs=1)
ZEAL = Owner(tenant="zeal", max_jobs=1)
ONCE = IdempotencyKey(key="k", fingerprint="f")


async def complete(queue: JobQueue, job: Job) -> None:
    await queue.finish(await lease_one(queue), JobCompleted())


async def fail(queue: JobQueue, job: Job) -> None:
    await queue.finish(await lease_one(queue), JobFailed(code="internal", message="broken"))


async def cancel_waiting(queue: JobQueue, job: Job) -> None:
    await queue.cancel(job.id)


async def cancel_abandoned(queue: JobQueue, job: Job) -> None:
    await lease_one(queue)
    await queue.cancel(job.id)
    await asyncio.sleep(1.2 * LEASE_SECONDS)
    assert not await queue.lease("w", model="fake", count=1, wait_seconds=0)


async def give_up(queue: JobQueue, job: Job) -> None:
    for _ in range(3):
        await lease_one(queue)
        await asyncio.sleep(1.2 * LEASE_SECONDS)
    assert not await queue.lease("w", model="fake", count=1, wait_seconds=0)


async def complete_after_takeover(queue: JobQueue, job: Job) -> None:
    await lease_one(queue, "dead")
    await asyncio.sleep(1.2 * LEASE_SECONDS)
    await queue.finish(await lease_one(queue, "next"), JobCompleted())


async def test_a_job_knows_its_tenant(queue: JobQueue) -> None:
    job = await queue.submit(request_of(), owner=ACME)
    assert job.tenant == "acme"
    assert await queue.job(job.id) == job
    assert (await lease_one(queue)).job.tenant == "acme"
    assert (await queue.submit(request_of())).tenant == "anonymous"


async def test_a_tenant_over_its_jobs_is_refused_and_others_are_not(queue: JobQueue) -> None:
    await queue.submit(request_of(), owner=ACME)
    with pytest.raises(RateLimitExceeded) as refused:
        await queue.submit(request_of(), owner=ACME)
    assert refused.value.retry_after_s is not None
    await queue.submit(request_of(), owner=ZEAL)
    assert await queue.depth() == 2


@pytest.mark.parametrize(
    "end",
    [complete, fail, cancel_waiting, cancel_abandoned, give_up, complete_after_takeover],
)
async def test_every_ending_makes_room_for_one(
    queue: JobQueue, end: Callable[[JobQueue, Job], Awaitable[None]]
) -> None:
    await end(queue, await queue.submit(request_of(), owner=ACME))
    assert await queue.depth() == 0
    await queue.submit(request_of(), owner=ACME)
    with pytest.raises(RateLimitExceeded):
        await queue.submit(request_of(), owner=ACME)


async def test_neither_hand_back_nor_takeover_makes_room(queue: JobQueue) -> None:
    await queue.submit(request_of(), owner=ACME)
    await queue.hand_back(await lease_one(queue))
    with pytest.raises(RateLimitExceeded):
        await queue.submit(request_of(), owner=ACME)
    await lease_one(queue, "dead")
    await asyncio.sleep(1.2 * LEASE_SECONDS)
    await lease_one(queue, "next")
    with pytest.raises(RateLimitExceeded):
        await queue.submit(request_of(), owner=ACME)


async def test_racing_submissions_never_exceed_the_limit(queue: JobQueue) -> None:
    owner = replace(ACME, max_jobs=3)
    calls = [queue.submit(request_of(), owner=owner) for _ in range(20)]
    made = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(each, Job) for each in made) == 3
    assert sum(isinstance(each, RateLimitExceeded) for each in made) == 17
    assert await queue.depth() == 3


async def test_the_own_limit_is_told_before_the_depth_of_the_queue(new_queue: NewQueue) -> None:
    queue = new_queue(QueueLimits(max_depth=1))
    await queue.submit(request_of(), owner=ACME)
    with pytest.raises(RateLimitExceeded):
        await queue.submit(request_of(), owner=ACME)
    with pytest.raises(QueueFull):
        await queue.submit(request_of(), owner=ZEAL)


async def test_a_refused_submission_leaves_nothing(queue: JobQueue) -> None:
    first = await queue.submit(request_of(), owner=ACME)
    with pytest.raises(RateLimitExceeded):
        await queue.submit_once(request_of(), ONCE, owner=ACME)
    assert await queue.submitted(ONCE, tenant="acme") is None
    await queue.cancel(first.id)
    assert not (await queue.submit_once(request_of(), ONCE, owner=ACME)).replayed


async def test_a_repetition_is_no_new_job_and_passes_the_limit(queue: JobQueue) -> None:
    first = await queue.submit_once(request_of(), ONCE, owner=ACME)
    again = await queue.submit_once(request_of(), ONCE, owner=ACME)
    assert (again.replayed, again.job) == (True, first.job)


async def test_idempotency_keys_are_the_tenants_own(queue: JobQueue) -> None:
    first = await queue.submit_once(request_of(), ONCE, owner=ACME)
    other = await queue.submit_once(request_of(), replace(ONCE, fingerprint="g"), owner=ZEAL)
    assert (first.replayed, other.replayed) == (False, False)
    assert first.job.id != other.job.id


async def test_a_key_can_be_looked_up_before_it_is_used(new_queue: NewQueue) -> None:
    queue = new_queue(QueueLimits(retention_seconds=0.1))
    assert await queue.submitted(ONCE, tenant="acme") is None
    job = (await queue.submit_once(request_of(), ONCE, owner=ACME)).job
    assert await queue.submitted(ONCE, tenant="acme") == job
    assert await queue.submitted(ONCE, tenant="zeal") is None
    with pytest.raises(IdempotencyConflict):
        await queue.submitted(replace(ONCE, fingerprint="g"), tenant="acme")
    await queue.cancel(job.id)
    await asyncio.sleep(0.2)
    with pytest.raises(NotFound):
        await queue.job(job.id)
    assert await queue.submitted(ONCE, tenant="acme") is None


async def test_racing_requests_never_exceed_the_budget(queue: JobQueue) -> None:
    calls = [queue.count_request("acme", per_minute=5) for _ in range(20)]
    budgets = await asyncio.gather(*calls)
    allowed = [each for each in budgets if each.allowed]
    assert sorted(each.remaining for each in allowed) == [0, 1, 2, 3, 4]
    for refused in (each for each in budgets if not each.allowed):
        assert refused.remaining == 0
        assert 0 < refused.retry_seconds <= 12
        assert 48 <= refused.reset_seconds <= 60
    assert (await queue.count_request("zeal", per_minute=5)).remaining == 4


async def test_a_refused_request_is_allowed_when_it_was_told_to_come_back(
    queue: JobQueue,
) -> None:
    rate = 600
    budgets = [await queue.count_request("acme", per_minute=rate) for _ in range(rate)]
    while budgets[-1].allowed:
        budgets.append(await queue.count_request("acme", per_minute=rate))
    assert 0 < budgets[-1].retry_seconds <= 0.1
    await asyncio.sleep(budgets[-1].retry_seconds + 0.002)
    assert (await queue.count_request("acme", per_minute=rate)).allowed


async def test_a_lowered_limit_keeps_nobody_out_for_longer_than_it_says(queue: JobQueue) -> None:
    for _ in range(50):
        await queue.count_request("acme", per_minute=50)
    assert (await queue.count_request("acme", per_minute=2)).retry_seconds <= 30
