"""Reading the event logs of jobs: replay from any id, then wait for what comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from redis.asyncio import Redis

from service.domain import TERMINAL_STATES, JobState, LoggedEvent, is_terminal
from service.errors import NotFound
from service.jobs.event_ids import parse_event_id
from service.jobs.keys import Keys
from service.jobs.redis_failures import patiently, unavailable
from service.jobs.redis_reader import PAGE, RedisReader, logged_event


class RedisLog:
    """What has happened is read by each watcher for itself, what happens by one reader for all."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis: Any = redis
        self._keys = keys
        self._reader = RedisReader(redis, keys)

    async def events(self, job_id: str, *, after: str) -> AsyncGenerator[LoggedEvent]:
        """As `JobQueue.events`."""
        parse_event_id(after)
        async with aclosing(self._pages(job_id, after)) as pages:
            async for page in pages:
                for logged in page:
                    yield logged
                    if is_terminal(logged.event):
                        return

    async def history(self, job_id: str) -> Sequence[LoggedEvent]:
        """As `JobQueue.history`."""
        with unavailable():
            entries = await self._redis.xrange(self._keys.log(job_id))
        if not entries:
            raise NotFound(f"there is no job {job_id}", field="job_id")
        return [logged_event(entry_id, fields.get(b"event", b"")) for entry_id, fields in entries]

    async def close(self) -> None:
        await self._reader.close()

    async def _pages(self, job_id: str, after: str) -> AsyncGenerator[Sequence[LoggedEvent]]:
        """Events after that one, once and in order. Ends where none will follow."""
        while True:
            ended = await self._has_ended(job_id, after)
            while page := await self._stored(job_id, after):
                yield page
                after = page[-1].id
            if ended:  # the log was whole when it was read to its end
                return
            with self._reader.watch(self._keys.log(job_id), after=after) as place:
                while _precedes(after, place.start) and (page := await self._stored(job_id, after)):
                    yield page
                    after = page[-1].id
                beyond = False
                while page := await place.take():
                    # What was stored may reach beyond the place's start; never again after that.
                    if not beyond:
                        page = [logged for logged in page if _precedes(after, logged.id)]
                        beyond = bool(page)
                    if page:
                        yield page
                        after = page[-1].id

    async def _stored(self, job_id: str, after: str) -> Sequence[LoggedEvent]:
        log = self._keys.log(job_id)
        answer = await patiently(lambda: self._redis.xread({log: after}, count=PAGE))
        return [
            logged_event(entry_id, fields.get(b"event", b""))
            for _, entries in answer
            for entry_id, fields in entries
        ]

    async def _has_ended(self, job_id: str, after: str) -> bool:
        job = self._keys.job(job_id)
        state = await patiently(lambda: self._redis.hget(job, "state"))
        if state is None:
            # Logs are kept and lost whole, so this is the one gap that there can be.
            seen = f", nor its events after {after}" if parse_event_id(after) > (0, 0) else ""
            raise NotFound(f"there is no job {job_id}{seen}", field="job_id")
        return JobState(state.decode()) in TERMINAL_STATES


def _precedes(earlier: str, later: str) -> bool:
    return parse_event_id(earlier) < parse_event_id(later)
