"""The one reader of a process: it follows every log that is watched here, on one connection.

It waits in a single XREAD over all of them, and over a stream of its own that is written to when
a log is added, so that what it waits for is always what is watched.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import Context
from typing import Any

from redis.asyncio import Redis

from service.domain import LoggedEvent, is_terminal
from service.errors import QueueUnavailable
from service.jobs import codec
from service.jobs.feeds import Feed, Place
from service.jobs.keys import Keys
from service.jobs.redis_failures import patiently, unavailable

logger = logging.getLogger(__name__)

BLOCK_SECONDS = 0.5
"""Longest wait in one command, well under the socket timeout."""
PAGE = 100
"""Events of one log in one answer."""
REST_SECONDS = 0.01
"""A read costs both sides something, and more the more logs it names. Resting between two reads
lets the events of many jobs come in one answer, and keeps the load bounded; what comes after a
silence does not wait."""
CHECK_SECONDS = 1.0
"""How often it looks whether the logs still exist: one that has expired says nothing."""
WAKE_TTL_MS = 60_000

Answer = Sequence[tuple[bytes, Sequence[tuple[bytes, dict[bytes, bytes]]]]]


class RedisReader:
    """Runs for as long as something is watched."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis: Any = redis
        self._wake_key = keys.wake(uuid.uuid4().hex)
        self._wake_position = "0"
        self._feeds: dict[str, Feed] = {}
        self._running: asyncio.Task[None] | None = None
        self._waking: set[asyncio.Task[None]] = set()
        self._blocked = self._woken = False
        self._check_at = 0.0

    @contextmanager
    def watch(self, log: str, *, after: str) -> Iterator[Place]:
        """A place among those who watch the log, for a watcher who has seen it up to `after`.

        Who comes first starts the feed there; who comes later finds it where it is by then, and
        reads up to the place's start in the log itself.
        """
        feed = self._feeds.get(log)
        if feed is None:
            feed = self._feeds[log] = Feed(after=after)
            self._call()
        place = feed.join()
        try:
            yield place
        finally:
            feed.leave(place)
            self._tidy(log, feed)

    async def close(self) -> None:
        tasks = [*self._waking, *([self._running] if self._running else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._end_all(QueueUnavailable("the job queue is closed"))

    def _call(self) -> None:
        """Makes the reader look at what is watched now."""
        # What it logs is not about the request that happens to wake it.
        nobody = Context()
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run(), context=nobody)
        elif self._blocked and not self._woken:
            self._woken = True
            waking = asyncio.create_task(self._wake(), context=nobody)
            self._waking.add(waking)
            waking.add_done_callback(self._waking.discard)

    async def _wake(self) -> None:
        # Without it, the read ends by itself a moment later.
        with suppress(QueueUnavailable), unavailable():
            commands = self._redis.pipeline(transaction=False)
            commands.xadd(self._wake_key, {"wake": ""}, maxlen=1, approximate=False)
            commands.pexpire(self._wake_key, WAKE_TTL_MS)
            await commands.execute()

    async def _run(self) -> None:
        connection = self._redis.client()
        try:
            while self._feeds:
                await patiently(lambda: self._turn(connection))
                await asyncio.sleep(REST_SECONDS)
        except QueueUnavailable as error:
            self._end_all(error)
        except Exception as error:
            logger.exception("the logs of jobs cannot be read")
            self._end_all(error)
        finally:
            await connection.aclose()

    async def _turn(self, connection: Any) -> None:
        """One read, handed on to whoever watches still what was asked for."""
        asked = dict(self._feeds)
        answer = await self._read(connection, asked)
        for key, entries in answer:
            log = key.decode()
            if log == self._wake_key:
                self._wake_position = entries[-1][0].decode()
            # A log that was left and joined anew meanwhile may have begun elsewhere.
            elif (feed := asked[log]) is self._feeds.get(log):
                _hand_on(feed, entries)
                self._tidy(log, feed)
        await self._end_lost(connection)

    async def _read(self, connection: Any, asked: Mapping[str, Feed]) -> Answer:
        positions = [feed.position for feed in asked.values()]
        streams = (*asked, self._wake_key, *positions, self._wake_position)
        block_ms = int(BLOCK_SECONDS * 1000)
        self._blocked, self._woken = True, False
        try:
            # Not `xread`, which costs half as much again: this is the busiest command of all.
            answer: Answer = await connection.execute_command(
                "XREAD", "COUNT", PAGE, "BLOCK", block_ms, "STREAMS", *streams
            )
        finally:
            self._blocked = False
        return answer

    async def _end_lost(self, connection: Any) -> None:
        """Logs that are gone are watched no more: their watchers find out why."""
        now = time.monotonic()
        if now < self._check_at or not self._feeds:
            return
        self._check_at = now + CHECK_SECONDS
        feeds = dict(self._feeds)
        if await connection.exists(*feeds) == len(feeds):
            return
        for log, feed in feeds.items():
            if not await connection.exists(log):
                feed.end()
                self._tidy(log, feed)

    def _tidy(self, log: str, feed: Feed) -> None:
        if not feed.watched and self._feeds.get(log) is feed:
            del self._feeds[log]

    def _end_all(self, error: Exception) -> None:
        feeds, self._feeds = self._feeds, {}
        for feed in feeds.values():
            feed.end(error)


def logged_event(entry_id: bytes, fields: Mapping[bytes, bytes]) -> LoggedEvent:
    """Raises ValueError if it was written in a form not known here."""
    text = entry_id.decode()
    event = codec.decode_event(fields.get(b"event", b""))
    return LoggedEvent(id=text, at=int(text.split("-")[0]) / 1e3, event=event)


def _hand_on(feed: Feed, entries: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> None:
    try:
        events = [logged_event(entry_id, fields) for entry_id, fields in entries]
    except ValueError as error:
        # The others' logs can be read.
        feed.end(error)
        return
    feed.deliver(events)
    if is_terminal(events[-1].event):
        feed.end()
