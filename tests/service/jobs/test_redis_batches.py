"""Commands that come together travel together, and are answered each for itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from redis.exceptions import ConnectionError, ResponseError

from service.jobs.redis_batches import RedisBatches
from service.jobs.redis_connection import connect
from service.jobs.redis_scripts import Scripts
from service.stack.redis_server import RedisServer


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Any]:
    redis = connect(redis_server.url)
    yield redis
    await redis.aclose()


class NotingBatches(RedisBatches):
    """Notes how many commands travelled together."""

    def __init__(self, redis: Any) -> None:
        super().__init__(redis)
        self.sizes: list[int] = []

    async def _answers(self, commands: Sequence[Sequence[Any]]) -> Sequence[Any]:
        self.sizes.append(len(commands))
        return await super()._answers(commands)


async def test_commands_of_the_same_moment_travel_together(redis: Any) -> None:
    batches = NotingBatches(redis)
    told = await asyncio.gather(*(batches.execute("ECHO", str(n)) for n in range(5)))
    assert told == [b"0", b"1", b"2", b"3", b"4"]
    assert await batches.execute("ECHO", "later") == b"later"
    assert batches.sizes == [5, 1]


async def test_a_refusal_is_its_own_commands_alone(redis: Any) -> None:
    batches = RedisBatches(redis)
    calls = [batches.execute(*words) for words in (("ECHO", "a"), ("NONE",), ("ECHO", "b"))]
    first, refused, last = await asyncio.gather(*calls, return_exceptions=True)
    assert (first, last) == (b"a", b"b")
    assert isinstance(refused, ResponseError)


async def test_who_leaves_takes_no_other_along(redis: Any) -> None:
    batches = RedisBatches(redis)
    leaving, staying = [asyncio.create_task(batches.execute("ECHO", name)) for name in "ab"]
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == b"b"
    assert leaving.cancelled()


async def test_a_redis_that_is_away_is_told_to_everyone() -> None:
    redis = connect("redis://127.0.0.1:1/0")
    batches = RedisBatches(redis)
    calls = [batches.execute("ECHO", name) for name in "ab"]
    told = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(each, ConnectionError) for each in told] == [True, True]
    await redis.aclose()


async def test_a_redis_that_has_forgotten_its_scripts_is_told_them_again(redis: Any) -> None:
    scripts = Scripts(redis)
    for _ in range(2):
        await redis.script_flush()
        calls = [scripts.backlog(keys=["none"], args=["workers", 1, 1, 0]) for _ in range(3)]
        assert await asyncio.gather(*calls) == [[0, 0, 0]] * 3


async def test_who_leaves_before_the_journey_sends_nothing(redis: Any) -> None:
    batches = NotingBatches(redis)
    leaving = asyncio.create_task(batches.execute("ECHO", "a"))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0.05)
    assert batches.sizes == []


async def test_closing_waits_for_what_is_on_its_way(redis: Any) -> None:
    batches = RedisBatches(redis)
    calling = asyncio.create_task(batches.execute("ECHO", "a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await batches.close()
    assert await asyncio.wait_for(calling, 0.5) == b"a"
    assert not batches._travelling
