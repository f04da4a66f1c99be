"""Where a watcher passes from the log to the live feed: no gap and no repeat at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from service.domain import JobQueued, LoggedEvent
from service.jobs import codec
from service.jobs.keys import Keys
from service.jobs.redis_log import RedisLog
from service.jobs.redis_reader import RedisReader

LOG = "nfig:job:j:log"
FIELDS = {b"event": codec.encode_event(JobQueued()).encode()}
Entries = list[tuple[bytes, dict[bytes, bytes]]]


def entries(*numbers: int) -> Entries:
    return [(f"{number}-0".encode(), FIELDS) for number in numbers]


class HeldRedis:
    """Reads that wait are answered when, and with what, the test says."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self.answers: asyncio.Queue[Entries] = asyncio.Queue()
        self.stored: list[Entries] = []
        """Answers to reads that do not wait, and before each what the reader is told."""
        self.told_before: dict[int, Entries] = {}
        self.reads = 0

    @property
    def connection_pool(self) -> HeldRedis:
        return self

    async def get_connection(self) -> HeldRedis:
        return self

    async def release(self, connection: HeldRedis) -> None: ...

    async def send_command(self, *words: Any) -> None:
        """The read that waits."""
        streams = words[words.index("STREAMS") + 1 :]
        half = len(streams) // 2
        await self.asked.put(dict(zip(streams[:half], streams[half:], strict=True)))

    async def read_response(self) -> Any:
        found = await self.answers.get()
        # Flat, as Redis answers: `xread` makes dictionaries of it.
        flat = [[entry_id, *map(list, fields.items())] for entry_id, fields in found]
        return [[LOG.encode(), flat]]

    async def xread(self, streams: dict[str, str], *, count: int) -> Any:
        self.reads += 1
        if told := self.told_before.get(self.reads):
            await self.answers.put(told)
            await asyncio.sleep(0.01)
        found = self.stored.pop(0) if self.stored else []
        return [(LOG.encode(), found)] if found else []

    async def hget(self, key: str, name: str) -> bytes:
        return b"running"

    async def exists(self, *keys: str) -> int:
        return len(keys)

    def pipeline(self, **options: Any) -> HeldRedis:
        return self

    def xadd(self, *arguments: Any, **options: Any) -> None: ...

    def pexpire(self, *arguments: Any) -> None: ...

    async def execute(self) -> None: ...

    async def aclose(self) -> None: ...


@pytest.fixture
def redis() -> HeldRedis:
    return HeldRedis()


@pytest.fixture
async def reader(redis: HeldRedis) -> AsyncIterator[RedisReader]:
    reader = RedisReader(redis, Keys(prefix="nfig"))
    yield reader
    await reader.close()


@pytest.fixture
async def log(redis: HeldRedis) -> AsyncIterator[RedisLog]:
    log = RedisLog(redis, Keys(prefix="nfig"))
    yield log
    await log.close()


def ids(events: list[LoggedEvent]) -> list[str]:
    return [logged.id for logged in events]


async def test_an_answer_to_a_watcher_who_has_left_is_not_the_next_ones(
    redis: HeldRedis, reader: RedisReader
) -> None:
    with reader.watch(LOG, after="5-0"):
        assert (await redis.asked.get())[LOG] == "5-0"
    # This one has seen less, and the read that began at 5 is still under way.
    with reader.watch(LOG, after="3-0") as place:
        await redis.answers.put(entries(6))
        assert (await redis.asked.get())[LOG] == "3-0"
        await redis.answers.put(entries(4, 5, 6))
        assert ids(list(await place.take())) == ["4-0", "5-0", "6-0"]


async def test_what_comes_while_a_watcher_joins_is_seen_once(
    redis: HeldRedis, log: RedisLog
) -> None:
    redis.stored = [entries(1), [], entries(1), [], entries(2, 3)]
    async with aclosing(log.events("j", after="0")) as early:
        assert (await anext(early)).id == "1-0"
        coming = asyncio.create_task(anext(early))
        assert (await redis.asked.get())[LOG] == "1-0"
        # The late one finds its log read to the end; then 2 comes, and while it catches up, 3.
        redis.told_before = {4: entries(2), 5: entries(3)}
        async with aclosing(log.events("j", after="0")) as late:
            seen = [await anext(late) for _ in range(3)]
            await redis.answers.put(entries(4))
            seen.append(await anext(late))
        assert ids(seen) == ["1-0", "2-0", "3-0", "4-0"]
        assert ids([await coming, *[await anext(early) for _ in range(2)]]) == ids(seen[1:])
