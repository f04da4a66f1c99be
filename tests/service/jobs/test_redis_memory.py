"""A real Redis with little memory that evicts nothing: the door closes first, accepted jobs end."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import OutOfMemoryError

from service.domain import ImageCompleted, JobCompleted, JobFailed, JobState
from service.errors import QueueFull
from service.jobs.footprint import footprint
from service.jobs.queue import QueueLimits, WorkerStatus
from service.jobs.redis_connection import connect
from service.jobs.redis_queue import RedisQueue
from service.stack.redis_server import start_redis
from tests.queue_calls import band, log_of, picture_of
from tests.requests import request_of

SIDE = 128
REQUEST = request_of(num_images=2, previews=(0, 1, 2, 3))
FOOTPRINT = footprint(REQUEST, image_size=SIDE)
MEGABYTE = 2**20


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    server = start_redis(tmp_path / "data", tmp_path / "redis.log")
    yield server.url
    server.stop()


@pytest.fixture
async def client(url: str) -> AsyncIterator[Any]:
    client: Any = connect(url)
    await client.config_set("maxmemory-policy", "noeviction")
    yield client
    await client.aclose()


@pytest.fixture
async def queue(url: str, client: Any) -> AsyncIterator[RedisQueue]:
    limits = QueueLimits(retention_seconds=60, lease_seconds=0.05)
    queue = RedisQueue(connect(url), name="nfig", limits=limits)
    # The scripts are there before memory is short.
    await queue.submit(REQUEST, footprint=FOOTPRINT)
    (lease,) = await queue.lease("w", model="fake", count=1, wait_seconds=0)
    await draw(queue, lease)
    used = (await client.info("memory"))["used_memory"]
    await client.config_set("maxmemory", used + 6 * MEGABYTE)
    yield queue
    await queue.close()


async def draw(queue: RedisQueue, lease: Any) -> None:
    """As large as it may come out: pictures of noise."""
    for image_index in range(REQUEST.num_images):
        for number in range(REQUEST.bands):
            content = os.urandom(3 * SIDE**2)
            shown = number in REQUEST.previews
            preview = picture_of(content[:32]) if shown else None
            pictures = {preview.digest: content} if preview else {}
            event = band(number, image_index=image_index, preview=preview)
            await queue.publish(lease, event, pictures=pictures)
        content = os.urandom(3 * SIDE**2)
        picture = picture_of(content[:32])
        done = ImageCompleted(image_index=image_index, picture=picture, bands_completed=5)
        await queue.publish(lease, done, pictures={picture.digest: content})
    await queue.finish(lease, JobCompleted())


async def accept_all(queue: RedisQueue) -> list[str]:
    """Until the door closes."""
    accepted = []
    with pytest.raises(QueueFull, match="memory"):
        for _ in range(1000):
            accepted.append((await queue.submit(REQUEST, footprint=FOOTPRINT)).id)
    return accepted


async def test_the_door_closes_before_redis_is_full_and_all_that_was_accepted_is_drawn(
    queue: RedisQueue, client: Any
) -> None:
    before = await queue.memory()
    accepted = await accept_all(queue)
    assert accepted
    memory = await queue.memory()
    info = await client.info("memory")
    assert memory.most == int(info["maxmemory"] * 0.8)
    assert memory.used + memory.promised <= memory.most
    for _ in accepted:
        (lease,) = await queue.lease("w", model="fake", count=1, wait_seconds=0)
        await draw(queue, lease)
    after = await queue.memory()
    # What was promised was enough, and Redis never came to its limit.
    assert after.used - before.used <= len(accepted) * FOOTPRINT
    assert after.used < info["maxmemory"]
    for job_id in accepted:
        assert (await queue.job(job_id)).state is JobState.COMPLETED
        assert (await log_of(queue, job_id))[-1].event == JobCompleted()
    # What is kept of them holds the door closed until it expires.
    with pytest.raises(QueueFull, match="memory"):
        await queue.submit(REQUEST, footprint=FOOTPRINT + after.most if after.most else 0)


async def test_a_redis_that_others_have_filled_lets_every_accepted_job_end(
    queue: RedisQueue, client: Any
) -> None:
    accepted = await accept_all(queue)
    leases = await queue.lease("w", model="fake", count=2, wait_seconds=0)
    await client.set("of others", os.urandom(MEGABYTE))
    await client.config_set("maxmemory", (await queue.memory()).used - MEGABYTE)
    with pytest.raises(OutOfMemoryError):
        await client.set("one more", "x")
    with pytest.raises(QueueFull):
        await queue.submit(REQUEST)
    status = WorkerStatus(worker_id="w", model="fake", engine="fake", engine_ready=True)
    await queue.heartbeat(status, ttl_seconds=5)
    assert list(await queue.workers()) == [status]
    drawn, given_up = leases
    assert await queue.renew(drawn) is False
    await draw(queue, drawn)
    await queue.hand_back(given_up)
    await queue.cancel(given_up.job.id)
    while found := await queue.lease("w", model="fake", count=1, wait_seconds=0):
        await queue.finish(found[0], JobFailed(code="internal", message="broken"))
    assert await queue.depth() == 0
    for job_id in accepted:
        states = (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED)
        assert (await queue.job(job_id)).state in states
    assert (await queue.memory()).promised == 0


async def test_a_budget_below_maxmemory_closes_the_door_earlier(
    queue: RedisQueue, url: str
) -> None:
    used = (await queue.memory()).used
    limits = QueueLimits(memory_bytes=used + MEGABYTE)
    small = RedisQueue(connect(url), name="nfig", limits=limits)
    assert (await small.memory()).most == used + MEGABYTE
    with pytest.raises(QueueFull, match="memory"):
        await small.submit(REQUEST, footprint=2 * MEGABYTE)
    await queue.submit(REQUEST, footprint=2 * MEGABYTE)
    await small.close()
