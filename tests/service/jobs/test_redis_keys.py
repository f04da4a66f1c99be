"""Every key has a bound, and nothing is left once everything has expired."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from service.domain import PRIORITIES, TERMINAL_STATES, JobCompleted, JobFailed
from service.jobs.keys import GROUP, Keys
from service.jobs.queue import IdempotencyKey, Owner, QueueLimits, WorkerStatus
from service.jobs.redis_connection import connect
from service.jobs.redis_queue import RedisQueue
from service.stack.redis_server import RedisServer
from tests.queue_calls import band, lease_one
from tests.requests import request_of

LIMITS = QueueLimits(
    retention_seconds=0.4,
    lease_seconds=0.05,
    upload_seconds=0.4,
    max_attempts=1,
    dead_letter_seconds=1.5,
    max_dead_letters=2,
)
OWNER = Owner(tenant="acme", max_jobs=100)
STATUS = WorkerStatus(worker_id="w", model="fake", engine="fake", engine_ready=True)


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


@pytest.fixture
async def client(redis_server: RedisServer) -> AsyncIterator[Any]:
    client = connect(redis_server.url)
    yield client
    await client.aclose()


@pytest.fixture
async def queue(redis_server: RedisServer, name: str) -> AsyncIterator[RedisQueue]:
    queue = RedisQueue(connect(redis_server.url), name=name, limits=LIMITS)
    yield queue
    await queue.close()


async def live(queue: RedisQueue) -> None:
    """Every way in which a job can come and go, every verb that leaves something behind."""
    await queue.heartbeat(STATUS, ttl_seconds=0.3)
    await queue.count_request("acme", per_minute=60_000)
    for number, priority in enumerate(PRIORITIES):
        request = request_of(priority=priority, keep_bands=1)
        once = IdempotencyKey(key=str(number), fingerprint="f")
        await queue.submit_once(request_of(priority=priority), once, owner=OWNER, footprint=1000)
        await queue.submit(request, owner=OWNER, upload=b"pixels", footprint=1000)
        await queue.submit(request, owner=OWNER, upload=b"pixels", footprint=1000)
        await queue.submit(replace(request, start_within_ms=1), upload=b"p", footprint=10)
    for end in (JobCompleted(), JobFailed(code="internal", message="broken")):
        lease = await lease_one(queue)
        async with aclosing(queue.events(lease.job.id)) as events:
            await anext(events)
            await queue.publish(lease, band(0), pictures={"d": b"x" * 100})
            await queue.finish(lease, end)
            async for _ in events:
                pass
    lease = await lease_one(queue)
    await queue.cancel(lease.job.id)
    await queue.hand_back(lease)
    await asyncio.sleep(0.01)
    await queue.fail_late("fake")


async def die(queue: RedisQueue) -> None:
    """All that is left, and one more twice."""
    await use_up(queue)
    job = await queue.submit(request_of(), owner=OWNER)
    await use_up(queue)
    await queue.retry_dead(job.id)
    await use_up(queue)


async def use_up(queue: RedisQueue) -> None:
    while await queue.depth():
        await queue.lease("w", model="fake", count=100, wait_seconds=0)
        await asyncio.sleep(2 * LIMITS.lease_seconds)


async def keys_of(client: Any, name: str) -> list[str]:
    return [key.decode() async for key in client.scan_iter(match=f"{name}*", count=1000)]


async def test_every_key_expires_or_belongs_to_what_is_there_now(
    queue: RedisQueue, client: Any, name: str
) -> None:
    await live(queue)
    keys = Keys(prefix=name)
    running = {keys.outstanding, keys.promised, *keys.all_waiting("fake")}
    running |= {keys.in_flight("acme"), keys.in_flight("anonymous")}
    ended = {state.value.encode() for state in TERMINAL_STATES}
    for key in await keys_of(client, name):
        if await client.pttl(key) != -1 or key in running:
            continue
        if key.startswith(f"{name}:idempotency:"):
            job_id = (await client.hget(key, "job")).decode()
        else:
            job_id = key.removeprefix(keys.job_prefix).split(":")[0]
        assert await client.hget(keys.job(job_id), "state") not in ended, key
        assert await client.zscore(keys.outstanding, job_id) is not None, key
    await die(queue)
    assert await client.xlen(keys.dead) <= LIMITS.max_dead_letters
    assert not running & set(await keys_of(client, name))


async def test_no_key_is_left_after_expiry(queue: RedisQueue, client: Any, name: str) -> None:
    await live(queue)
    await die(queue)
    await queue.close()
    await asyncio.sleep(1.7)
    for key in await keys_of(client, name):
        # One per gateway, of one entry.
        assert key.startswith(f"{name}:wake:")
        assert 0 <= await client.pttl(key) <= 60_000


async def test_workers_that_come_and_go_leave_nothing_in_a_queue_that_is_never_empty(
    queue: RedisQueue, client: Any, name: str
) -> None:
    for number in range(5):
        await queue.submit(request_of())
        lease = await lease_one(queue, f"worker-{number}")
        await queue.hand_back(lease)
    waiting = Keys(prefix=name).waiting("fake", "normal")
    assert len(await client.xinfo_consumers(waiting, GROUP)) == 1


async def test_a_log_holds_every_event_of_the_largest_job(queue: RedisQueue) -> None:
    job = await queue.submit(request_of(num_images=10))
    lease = await lease_one(queue)
    for image_index in range(10):
        for number in range(30):
            await queue.publish(lease, band(number, image_index=image_index), pictures={})
    await queue.finish(lease, JobCompleted())
    assert len(await queue.history(job.id)) == 2 + 300 + 1
