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
REST_PER_LOG_SECONDS = 0.001
MAX_REST_SECONDS = 0.02
"""A read costs both sides something, and more the more logs it names. Resting between two reads
lets the events of many jobs come in one answer, and keeps the load bounded; what comes after a
silence does not wait. Few jobs have nothing to wait for."""
CHECK_SECONDS = 1.0
"""How often it looks whether the logs still exist: one that has expired says nothing."""
WAKE_TTL_MS = 60_000

Entries = Sequence[tuple[bytes, tuple[bytes, bytes]]]
"""Per entry its id, and the name and the text of its one field."""
Answer = Sequence[tuple[bytes, Entries]]
"""Per log its name and what is new in it."""


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
        pool = self._redis.connection_pool
        connection = None
        try:
            connection = await patiently(pool.get_connection)
            while self._feeds:
                await patiently(lambda: self._turn(connection))
                await asyncio.sleep(self._rest_seconds())
        except QueueUnavailable as error:
            self._end_all(error)
        except Exception as error:
            logger.exception("the logs of jobs cannot be read")
            self._end_all(error)
        finally:
            if connection is not None:
                await pool.release(connection)

    def _rest_seconds(self) -> float:
        return min(REST_PER_LOG_SECONDS * len(self._feeds), MAX_REST_SECONDS)

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
        await self._end_lost()

    async def _read(self, connection: Any, asked: Mapping[str, Feed]) -> Answer:
        positions = [feed.position for feed in asked.values()]
        streams = (*asked, self._wake_key, *positions, self._wake_position)
        block_ms = int(BLOCK_SECONDS * 1000)
        self._blocked, self._woken = True, False
        try:
            # Not through the client, where it would cost half as much again: this is the busiest
            # command of all, and whoever calls repeats it anyway.
            await connection.send_command(
                "XREAD", "COUNT", PAGE, "BLOCK", block_ms, "STREAMS", *streams
            )
            answer: Answer | None = await connection.read_response()
        finally:
            self._blocked = False
        return answer or ()

    async def _end_lost(self) -> None:
        """Logs that are gone are watched no more: their watchers find out why."""
        now = time.monotonic()
        if now < self._check_at or not self._feeds:
            return
        self._check_at = now + CHECK_SECONDS
        feeds = dict(self._feeds)
        if await self._redis.exists(*feeds) == len(feeds):
            return
        for log, feed in feeds.items():
            if not await self._redis.exists(log):
                feed.end()
                self._tidy(log, feed)

    def _tidy(self, log: str, feed: Feed) -> None:
        if not feed.watched and self._feeds.get(log) is feed:
            del self._feeds[log]

    def _end_all(self, error: Exception) -> None:
        feeds, self._feeds = self._feeds, {}
        for feed in feeds.values():
            feed.end(error)


def logged_event(entry_id: bytes, text: bytes) -> LoggedEvent:
    """An entry by the text of its one field. Raises ValueError if that is in a form not known
    here."""
    identifier = entry_id.decode()
    milliseconds, _, _ = identifier.partition("-")
    event = codec.decode_event(text)
    return LoggedEvent(id=identifier, at=int(milliseconds) / 1e3, event=event)


def _hand_on(feed: Feed, entries: Entries) -> None:
    try:
        events = [logged_event(entry_id, text) for entry_id, (_, text) in entries]
    except ValueError as error:
        # The others' logs can be read.
        feed.end(error)
        return
    feed.deliver(events)
    if is_terminal(events[-1].event):
        feed.end()
