"""A Redis that is away, silent, full, restarted or holds what nobody can read."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.domain import (
    BandCompleted,
    Event,
    JobCompleted,
    JobFailed,
    JobQueued,
    JobStarted,
    JobState,
)
from service.engine.fake_engine import FAKE_CARD
from service.errors import QueueFull, QueueUnavailable
from service.jobs.keys import Keys
from service.jobs.queue import Attendee, IdempotencyKey, QueueLimits, WorkerStatus
from service.jobs.redis_connection import connect
from service.jobs.redis_queue import RedisQueue
from service.stack.redis_server import RedisServer, start_redis
from tests.requests import request_of

BAND = BandCompleted(
    image_index=0, band=0, token_digest="t", seconds=0.1, batch_size=1, preview=None
)
ONCE = IdempotencyKey(key="k", fingerprint="f")
CALLER = Attendee(id="gateway", seconds=60)
STATUS = WorkerStatus(worker_id="w", model="fake", engine="fake", engine_ready=True)


class OwnRedis:
    """A server that a test may do anything to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.server = start_redis(folder / "data", folder / "redis.log")

    def restart(self) -> None:
        self.server = start_redis(
            self._folder / "data", self._folder / "redis.log", port=self.server.port
        )


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    own = OwnRedis(tmp_path)
    yield own
    own.server.process.send_signal(signal.SIGCONT)
    own.server.stop()


@pytest.fixture
async def own_queue(own_redis: OwnRedis) -> AsyncIterator[RedisQueue]:
    queue = RedisQueue(connect(own_redis.server.url), name="nfig", limits=QueueLimits())
    yield queue
    await queue.close()


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


@pytest.fixture
async def client(redis_server: RedisServer) -> AsyncIterator[Any]:
    client = connect(redis_server.url)
    yield client
    await client.aclose()


async def events_of(queue: RedisQueue, job_id: str) -> list[Event]:
    async with asyncio.timeout(10), aclosing(queue.events(job_id)) as events:
        return [logged.event async for logged in events]


@pytest.mark.parametrize("how", ["stopped", "silent"])
async def test_every_verb_says_that_the_queue_is_away_within_about_a_second(
    own_redis: OwnRedis, own_queue: RedisQueue, how: str
) -> None:
    queue = own_queue
    job = await queue.submit(request_of())
    (lease,) = await queue.lease("w", model="fake", count=1, wait_seconds=1)
    if how == "stopped":
        own_redis.server.stop()
    else:
        own_redis.server.process.send_signal(signal.SIGSTOP)
    verbs: list[Callable[[], Awaitable[object]]] = [
        queue.ping,
        lambda: queue.submit(request_of()),
        lambda: queue.submit_once(request_of(), ONCE),
        lambda: queue.job(job.id),
        lambda: queue.history(job.id),
        lambda: queue.position(job.id),
        lambda: queue.backlog("fake"),
        lambda: queue.cancel(job.id),
        lambda: queue.picture(job.id, "d"),
        queue.depth,
        queue.models,
        queue.workers,
        queue.memory,
        queue.census,
        lambda: queue.submitted(ONCE, tenant="acme"),
        lambda: queue.count_request("acme", per_minute=60),
        lambda: queue.attend([job.id], CALLER),
        lambda: queue.leave(job.id, CALLER),
        lambda: queue.fail_unserved(job.id),
        lambda: queue.upload(job.id),
        lambda: queue.register_model(FAKE_CARD),
        lambda: queue.heartbeat(STATUS, ttl_seconds=1),
        lambda: queue.fail_late("fake"),
        lambda: queue.sign_off("w"),
        lambda: queue.lease("w", model="fake", count=1, wait_seconds=5),
        lambda: queue.renew(lease),
        lambda: queue.publish(lease, BAND, pictures={"d": b"x"}),
        lambda: queue.finish(lease, JobCompleted()),
        lambda: queue.hand_back(lease),
    ]

    async def refused(verb: Callable[[], Awaitable[object]]) -> float:
        began = time.monotonic()
        with pytest.raises(QueueUnavailable) as away:
            await verb()
        assert away.value.retry_after_s is not None
        return time.monotonic() - began

    assert max(await asyncio.gather(*(refused(verb) for verb in verbs))) < 2


async def test_a_watcher_outlives_a_restart_and_jobs_outlive_it_too(
    own_redis: OwnRedis, own_queue: RedisQueue
) -> None:
    job = await own_queue.submit(request_of())
    watching = asyncio.create_task(events_of(own_queue, job.id))
    (lease,) = await own_queue.lease("w", model="fake", count=1, wait_seconds=1)
    await asyncio.sleep(0.1)
    await asyncio.to_thread(own_redis.server.stop)
    own_redis.restart()
    await own_queue.publish(lease, BAND, pictures={})
    await own_queue.finish(lease, JobCompleted())
    assert await watching == [JobQueued(), JobStarted(attempt=1), BAND, JobCompleted()]


async def test_a_watcher_is_told_when_redis_stays_away(
    own_redis: OwnRedis, own_queue: RedisQueue
) -> None:
    job = await own_queue.submit(request_of())
    watching = asyncio.create_task(events_of(own_queue, job.id))
    await asyncio.sleep(0.1)
    await asyncio.to_thread(own_redis.server.stop)
    with pytest.raises(QueueUnavailable):
        await asyncio.wait_for(watching, timeout=4)


async def test_a_full_redis_refuses_new_jobs_and_takes_them_again(
    own_redis: OwnRedis, own_queue: RedisQueue
) -> None:
    job = await own_queue.submit(request_of())
    (lease,) = await own_queue.lease("w", model="fake", count=1, wait_seconds=1)
    client: Any = connect(own_redis.server.url)
    try:
        await client.config_set("maxmemory", 1)
        with pytest.raises(QueueFull):
            await own_queue.submit(request_of())
        await own_queue.publish(lease, BAND, pictures={"d": b"x"})
        await client.config_set("maxmemory", 0)
    finally:
        await client.aclose()
    assert await own_queue.depth() == 1
    await own_queue.publish(lease, BAND, pictures={"d": b"x"})
    await own_queue.finish(lease, JobCompleted())
    assert await events_of(own_queue, job.id) == [
        JobQueued(),
        JobStarted(attempt=1),
        BAND,
        JobCompleted(),
    ]


async def test_a_job_that_nobody_can_read_fails_alone(
    redis_server: RedisServer, client: Any, name: str
) -> None:
    queue = RedisQueue(connect(redis_server.url), name=name, limits=QueueLimits())
    strange, plain = [await queue.submit(request_of()) for _ in range(2)]
    await client.hset(Keys(prefix=name).job(strange.id), "request", '{"from": "the future"}')
    (lease,) = await queue.lease("w", model="fake", count=2, wait_seconds=0)
    assert lease.job.id == plain.id
    last = (await events_of(queue, strange.id))[-1]
    assert isinstance(last, JobFailed)
    assert last.code == "internal"
    assert await queue.depth() == 1
    await queue.close()


async def test_a_repeated_submission_is_one_job(redis_server: RedisServer, name: str) -> None:
    queue = RedisQueue(connect(redis_server.url), name=name, limits=QueueLimits(max_depth=1))
    first, again = [
        await queue._submissions.submit("one", request_of(), once=ONCE) for _ in range(2)
    ]
    assert first.job == again.job
    # It was the answer that was lost, so to its caller the job is new.
    assert not again.replayed
    assert await queue.depth() == 1
    assert len(await queue.lease("w", model="fake", count=2, wait_seconds=0)) == 1
    await queue.close()


async def test_a_lease_call_that_is_given_up_while_it_waits_takes_nothing(
    redis_server: RedisServer, name: str
) -> None:
    queue = RedisQueue(connect(redis_server.url), name=name, limits=QueueLimits())
    for _ in range(5):
        waiting = asyncio.create_task(queue.lease("gone", model="fake", count=1, wait_seconds=5))
        await asyncio.sleep(0.05)
        waiting.cancel()
        await asyncio.wait([waiting])
    job = await queue.submit(request_of())
    (lease,) = await queue.lease("w", model="fake", count=1, wait_seconds=0)
    assert (lease.job.id, lease.job.state) == (job.id, JobState.RUNNING)
    await queue.close()


async def test_every_key_of_an_ended_job_expires_and_the_rest_is_bounded(
    redis_server: RedisServer, client: Any, name: str
) -> None:
    limits = QueueLimits(retention_seconds=0.3)
    queue = RedisQueue(connect(redis_server.url), name=name, limits=limits)
    for number in range(3):
        job = (await queue.submit_once(request_of(), replace(ONCE, key=str(number)))).job
        (lease,) = await queue.lease("w", model="fake", count=1, wait_seconds=0)
        await queue.publish(lease, BAND, pictures={"d": b"x" * 1000})
        if number == 1:
            await queue.hand_back(lease)
            await queue.cancel(job.id)
        else:
            await queue.finish(lease, JobCompleted())
    await asyncio.sleep(0.5)
    left = [key.decode() async for key in client.scan_iter(match=f"{name}*", count=1000)]
    assert left == [Keys(prefix=name).taken("w")]  # whatever it took, for as long as a lease
    assert 0 < await client.pttl(left[0]) <= 1000 * limits.lease_seconds
    await queue.close()


async def test_a_call_that_is_cancelled_ends_there_whenever_that_is(
    redis_server: RedisServer,
) -> None:
    queue = RedisQueue(connect(redis_server.url), name=uuid.uuid4().hex, limits=QueueLimits())

    async def go_on_for_ever() -> None:
        while True:
            await queue.depth()

    for steps in range(60):
        task = asyncio.create_task(go_on_for_ever())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=2)
        assert task.cancelled(), steps
    await queue.close()
