"""Reading the event logs of jobs: replay from any id, then wait for what comes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

from redis.asyncio import Redis

from service.domain import TERMINAL_STATES, JobState, LoggedEvent, is_terminal
from service.errors import NotFound, QueueUnavailable
from service.jobs import codec
from service.jobs.event_ids import parse_event_id
from service.jobs.keys import Keys
from service.jobs.redis_connection import unavailable

BLOCK_SECONDS = 0.5
"""Longest wait in one command, well under the socket timeout."""
PATIENCE_SECONDS = 1.0
"""A reader outlives a queue that is away for this long."""
PAUSE_SECONDS = 0.1
PAGE = 100
Result = TypeVar("Result")


class RedisLog:
    """Every watcher reads for itself, on a connection of its own while it waits."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis: Any = redis
        self._keys = keys

    async def events(self, job_id: str, *, after: str) -> AsyncGenerator[LoggedEvent]:
        """As `JobQueue.events`."""
        parse_event_id(after)
        ended = await _patiently(lambda: self._has_ended(job_id))
        while True:
            page = await self._page(job_id, after, wait=not ended)
            for logged in page:
                after = logged.id
                yield logged
                if is_terminal(logged.event):
                    return
            if not page:
                if ended:  # the log was whole when this page was read: `after` is its end
                    return
                ended = await _patiently(lambda: self._has_ended(job_id))

    async def history(self, job_id: str) -> Sequence[LoggedEvent]:
        """As `JobQueue.history`."""
        with unavailable():
            entries = await self._redis.xrange(self._keys.log(job_id))
        if not entries:
            raise NotFound(f"there is no job {job_id}", field="job_id")
        return [_logged(entry_id, fields) for entry_id, fields in entries]

    async def _page(self, job_id: str, after: str, *, wait: bool) -> Sequence[LoggedEvent]:
        block = int(BLOCK_SECONDS * 1000) if wait else None
        log = self._keys.log(job_id)
        answer = await _patiently(lambda: self._redis.xread({log: after}, count=PAGE, block=block))
        return [_logged(entry_id, fields) for _, page in answer for entry_id, fields in page]

    async def _has_ended(self, job_id: str) -> bool:
        state = await self._redis.hget(self._keys.job(job_id), "state")
        if state is None:
            raise NotFound(f"there is no job {job_id}", field="job_id")
        return JobState(state.decode()) in TERMINAL_STATES


def _logged(entry_id: bytes, fields: dict[bytes, bytes]) -> LoggedEvent:
    text = entry_id.decode()
    event = codec.decode_event(fields[b"event"])
    return LoggedEvent(id=text, at=int(text.split("-")[0]) / 1e3, event=event)


async def _patiently(read: Callable[[], Awaitable[Result]]) -> Result:
    """Repeats the read through a short absence. Raises QueueUnavailable after a longer one."""
    give_up: float | None = None
    while True:
        try:
            with unavailable():
                return await read()
        except QueueUnavailable:
            give_up = give_up or time.monotonic() + PATIENCE_SECONDS
            if time.monotonic() > give_up:
                raise
        await asyncio.sleep(PAUSE_SECONDS)
