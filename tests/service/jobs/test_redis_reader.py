"""One reader for every watcher of a process: its cost, its haste, and what it survives."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest
from structlog.contextvars import bound_contextvars, get_contextvars

from service.domain import JobCompleted, LoggedEvent
from service.errors import NotFound
from service.jobs import feeds, redis_reader
from service.jobs.keys import Keys
from service.jobs.queue import QueueLimits
from service.jobs.redis_connection import MAX_CONNECTIONS, connect
from service.jobs.redis_queue import RedisQueue
from service.jobs.redis_reader import RedisReader
from service.stack.redis_server import RedisServer
from tests.queue_calls import band, lease_one, log_of
from tests.requests import request_of

WATCHERS = 200


@pytest.fixture
async def client(redis_server: RedisServer) -> AsyncIterator[Any]:
    client = connect(redis_server.url)
    yield client
    await client.aclose()


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


@pytest.fixture
async def queue(redis_server: RedisServer, name: str) -> AsyncIterator[RedisQueue]:
    limits = QueueLimits(retention_seconds=0.3)
    queue = RedisQueue(connect(redis_server.url), name=name, limits=limits)
    yield queue
    await queue.close()


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not await condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("num_jobs", [1, WATCHERS])
async def test_watchers_cost_one_connection_that_waits(
    queue: RedisQueue, client: Any, num_jobs: int
) -> None:
    jobs = [(await queue.submit(request_of())).id for _ in range(num_jobs)]

    async def waiting() -> int:
        return sum("b" in each["flags"] for each in await client.client_list())

    async with AsyncExitStack() as stack:
        before = len(await client.client_list())
        counts = []
        for batch in range(4):
            for index in range(WATCHERS // 4):
                job_id = jobs[(batch * WATCHERS // 4 + index) % num_jobs]
                events = await stack.enter_async_context(aclosing(queue.events(job_id)))
                await anext(events)
                watching = asyncio.create_task(anext(events))
                stack.push_async_callback(_give_up, watching)
            await asyncio.sleep(0.05)
            assert await waiting() == 1
            counts.append(len(await client.client_list()))
        # The reader, and what a burst of watchers who look for themselves may need.
        assert counts[0] <= before + MAX_CONNECTIONS
        assert counts == [counts[0]] * 4


async def _give_up(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def test_a_burst_of_watchers_stays_within_the_connections_of_a_process(
    queue: RedisQueue, client: Any
) -> None:
    job_id = (await queue.submit(request_of())).id
    before = len(await client.client_list())
    watching = [asyncio.create_task(log_of(queue, job_id)) for _ in range(WATCHERS)]
    await asyncio.sleep(0.3)
    assert len(await client.client_list()) <= before + MAX_CONNECTIONS
    await queue.cancel(job_id)
    logs = await asyncio.gather(*watching)
    assert logs == [logs[0]] * WATCHERS


async def test_the_reader_goes_home_when_nobody_watches(queue: RedisQueue, client: Any) -> None:
    job_id = (await queue.submit(request_of())).id
    watching = asyncio.create_task(log_of(queue, job_id))

    async def somebody_waits() -> bool:
        return any("b" in each["flags"] for each in await client.client_list())

    async def nobody_waits() -> bool:
        return not await somebody_waits()

    await until(somebody_waits)
    await _give_up(watching)
    await until(nobody_waits)
    again = asyncio.create_task(log_of(queue, job_id))
    await until(somebody_waits)
    await queue.cancel(job_id)
    assert len(await again) == 2


async def test_an_event_ends_the_wait_of_the_reader(
    queue: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a job that was watched before it waited, and of one that is watched only now."""
    monkeypatch.setattr(redis_reader, "BLOCK_SECONDS", 60.0)
    other = asyncio.create_task(log_of(queue, (await queue.submit(request_of())).id))
    await lease_one(queue)
    await asyncio.sleep(0.05)
    async with asyncio.timeout(20):
        for _ in range(5):
            job_id = (await queue.submit(request_of())).id
            async with aclosing(queue.events(job_id)) as events:
                await anext(events)
                coming = asyncio.create_task(anext(events))
                await asyncio.sleep(0.02)
                lease = await lease_one(queue)
                await coming
                for number in range(10):
                    await queue.publish(lease, band(number), pictures={})
                    await anext(events)
    await _give_up(other)


async def test_a_watcher_that_does_not_read_slows_nobody_and_misses_nothing(
    queue: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "PLACE_EVENTS", 8)
    job_id = (await queue.submit(request_of())).id
    lease = await lease_one(queue)
    async with aclosing(queue.events(job_id)) as stuck, aclosing(queue.events(job_id)) as quick:
        first = [await anext(stuck), await anext(stuck)]
        assert [await anext(quick), await anext(quick)] == first
        coming = asyncio.create_task(anext(stuck))
        await asyncio.sleep(0.05)
        seen: list[LoggedEvent] = []
        for number in range(40):
            await queue.publish(lease, band(number), pictures={})
            async with asyncio.timeout(1):
                seen.append(await anext(quick))
        assert await coming == seen[0]
        assert [await anext(stuck) for _ in range(39)] == seen[1:]


async def test_a_watcher_that_comes_back_after_the_log_has_gone_is_told(
    queue: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "PLACE_EVENTS", 4)
    job_id = (await queue.submit(request_of())).id
    lease = await lease_one(queue)
    async with aclosing(queue.events(job_id)) as events:
        seen = [(await anext(events)).id for _ in range(2)]
        coming = asyncio.create_task(anext(events))
        await asyncio.sleep(0.05)
        for number in range(20):
            await queue.publish(lease, band(number), pictures={})
            await asyncio.sleep(0.002)
        await queue.finish(lease, JobCompleted())
        seen.append((await coming).id)
        await asyncio.sleep(0.5)
        with pytest.raises(NotFound) as told:
            async for logged in events:
                seen.append(logged.id)
    assert seen[-1] in told.value.message
    assert len(seen) < 20


async def test_a_watcher_of_a_job_that_redis_has_lost_is_told(
    queue: RedisQueue, client: Any, name: str
) -> None:
    lost, kept = [(await queue.submit(request_of())).id for _ in range(2)]
    watching = asyncio.create_task(log_of(queue, lost))
    other = asyncio.create_task(log_of(queue, kept))
    await asyncio.sleep(0.05)
    keys = Keys(prefix=name)
    await client.delete(keys.job(lost), keys.log(lost))
    with pytest.raises(NotFound):
        await asyncio.wait_for(watching, timeout=4)
    await queue.cancel(kept)
    assert len(await other) == 2


async def test_an_event_that_nobody_can_read_fails_the_watchers_of_its_job_alone(
    queue: RedisQueue, client: Any, name: str
) -> None:
    strange, plain = [(await queue.submit(request_of())).id for _ in range(2)]
    watching = [asyncio.create_task(log_of(queue, job_id)) for job_id in (strange, plain)]
    await asyncio.sleep(0.05)
    await client.xadd(Keys(prefix=name).log(strange), {"event": '{"event": "from.the.future"}'})
    with pytest.raises(ValueError, match="event"):
        await watching[0]
    await queue.cancel(plain)
    assert len(await watching[1]) == 2


async def test_a_reader_that_has_gone_home_leaves_no_keys_for_long(
    queue: RedisQueue, client: Any, name: str
) -> None:
    jobs = [(await queue.submit(request_of())).id for _ in range(3)]
    watching = []
    for job_id in jobs:
        watching.append(asyncio.create_task(log_of(queue, job_id)))
        await asyncio.sleep(0.03)
    for job_id in jobs:
        await queue.cancel(job_id)
    await asyncio.gather(*watching)
    wakes = [key async for key in client.scan_iter(match=f"{name}:wake:*", count=1000)]
    assert len(wakes) == 1
    assert await client.xlen(wakes[0]) == 1
    assert 0 < await client.ttl(wakes[0]) <= 60


async def test_what_it_does_for_everybody_names_no_request(
    queue: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await queue.submit(request_of())
    seen: list[dict[str, Any]] = []
    read, wake = RedisReader._read, RedisReader._wake

    async def seen_reading(*args: Any) -> Any:
        seen.append(get_contextvars())
        return await read(*args)

    async def seen_waking(*args: Any) -> None:
        seen.append(get_contextvars())
        await wake(*args)

    monkeypatch.setattr(RedisReader, "_read", seen_reading)
    monkeypatch.setattr(RedisReader, "_wake", seen_waking)
    other = await queue.submit(request_of())
    with bound_contextvars(request_id="the first", job_id=job.id):
        async with AsyncExitStack() as stack:
            for watched in (job, other):
                events = await stack.enter_async_context(aclosing(queue.events(watched.id)))
                await anext(events)
                watching = asyncio.create_task(anext(events))
                stack.push_async_callback(_give_up, watching)
                await asyncio.sleep(0.1)
    assert len(seen) >= 3
    assert not any(seen)
