"""The queue in memory does what the queue in Redis does, whatever is asked of both in turn."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.domain import PRIORITIES, BandCompleted, Event, JobCompleted, is_terminal
from service.errors import ServiceError
from service.jobs.keys import GROUP, Keys
from service.jobs.memory_queue import MemoryQueue
from service.jobs.queue import Attendee, Backlog, IdempotencyKey, JobQueue, Lease, QueueLimits
from service.jobs.redis_connection import connect
from service.jobs.redis_queue import RedisQueue
from service.stack.redis_server import RedisServer
from tests.requests import request_of

LEASE_SECONDS = 1000.0
LIMITS = QueueLimits(
    # Clocks run by leaps here, and nothing may be forgotten on the way.
    lease_seconds=LEASE_SECONDS,
    retention_seconds=1e8,
    head_start_seconds=1e6,
    dead_letter_seconds=1e8,
    engine_wait_seconds=1e8,
    max_depth=4,
    max_attempts=3,
)
CALLER = Attendee(id="gateway", seconds=1e8)
PICK = st.integers(min_value=0, max_value=3)
PRIORITY = st.sampled_from(PRIORITIES)
BAND = st.integers(min_value=0, max_value=3)
OPERATIONS = st.one_of(
    st.tuples(st.just("submit"), PRIORITY, st.booleans()),
    st.tuples(st.just("submit_once"), PICK, st.sampled_from([0, 0, 1])),
    st.tuples(st.just("lease"), st.integers(min_value=1, max_value=3), st.sampled_from("aab")),
    st.tuples(st.just("lapse")),
    st.tuples(st.sampled_from(["retry", "drop"]), PICK),
    st.tuples(st.sampled_from(["renew", "finish", "hand_back", "cancel", "unserved"]), PICK),
    st.tuples(st.just("publish"), PICK, st.integers(min_value=0, max_value=1), BAND),
)


class Side:
    """One queue with the jobs and leases that came out of it, newest first when picked."""

    def __init__(self, queue: JobQueue) -> None:
        self.queue = queue
        self.jobs: list[str] = []
        self.leases: list[Lease] = []

    async def do(self, verb: str, arguments: Sequence[Any]) -> object:
        """What can be compared between sides: answers and errors, with jobs by their number."""
        try:
            return await self._do(verb, arguments)
        except ServiceError as error:
            return type(error).__name__

    async def _do(self, verb: str, arguments: Sequence[Any]) -> object:
        if verb == "submit":
            upload = str(len(self.jobs)).encode()
            request = request_of(priority=arguments[0], keep_bands=1)
            job = await self.queue.submit(
                request,
                upload=upload,
                footprint=len(self.jobs),
                attendee=CALLER if arguments[1] else None,
            )
            self.jobs.append(job.id)
            return len(self.jobs)
        if verb in ("retry", "drop"):
            return await self._settle(verb, arguments[0])
        if verb == "submit_once":
            key, fingerprint = map(str, arguments)
            once = IdempotencyKey(key=key, fingerprint=fingerprint) if arguments[0] else None
            made = await self.queue.submit_once(request_of(), once)
            if not made.replayed:
                self.jobs.append(made.job.id)
            return self.jobs.index(made.job.id), made.replayed, made.job.state, made.standing
        if verb == "lease":
            count, engine = arguments
            leases = await self.queue.lease(
                "w", model="fake", count=count, wait_seconds=0, engine=engine
            )
            self.leases += leases
            return [(self.jobs.index(x.job.id), x.epoch, x.job.attempts) for x in leases]
        if verb == "upload":
            return await self.queue.upload(self.jobs[arguments[0]])
        if verb == "unserved" and self.jobs:
            await self.queue.fail_unserved(self._picked(self.jobs, arguments[0]))
        elif verb == "cancel" and self.jobs:
            await self.queue.cancel(self._picked(self.jobs, arguments[0]))
        elif self.leases:
            return await self._write(verb, self._picked(self.leases, arguments[0]), arguments[1:])
        return None

    async def _settle(self, verb: str, number: int) -> object:
        letters = await self.queue.dead_letters()
        if not letters:
            return None
        job_id = self._picked(letters, number).job_id
        if verb == "drop":
            await self.queue.drop_dead(job_id)
        else:
            self.jobs.append((await self.queue.retry_dead(job_id)).id)
        return self.jobs.index(job_id)

    async def _write(self, verb: str, lease: Lease, arguments: Sequence[int]) -> object:
        if verb == "publish":
            return await self.queue.publish(lease, band(*arguments), pictures={"d": b"x"})
        if verb == "renew":
            return await self.queue.renew(lease)
        if verb == "hand_back":
            await self.queue.hand_back(lease)
        else:
            await self.queue.finish(lease, JobCompleted())
        return None

    def _picked(self, items: Sequence[Any], number: int) -> Any:
        return items[-1 - number % len(items)]

    async def positions(self) -> list[int | None]:
        return [await self.queue.position(job_id) for job_id in self.jobs]

    async def backlogs(self) -> list[Backlog]:
        choices = (None, *PRIORITIES)
        return [await self.queue.backlog("fake", ahead_of=priority) for priority in choices]

    async def dead(self) -> list[object]:
        letters = await self.queue.dead_letters()
        return [(self.jobs.index(x.job_id), x.attempts, x.worker_id, x.tenant) for x in letters]

    async def uploads(self) -> list[object]:
        return [await self.do("upload", [number]) for number in range(len(self.jobs))]

    async def logs(self) -> list[list[Event]]:
        """What each job's log holds by now; of an ended one the watchers' reading as well."""
        return [await self._log(job_id) for job_id in self.jobs]

    async def _log(self, job_id: str) -> list[Event]:
        found = [logged.event for logged in await self.queue.history(job_id)]
        if is_terminal(found[-1]):
            async with aclosing(self.queue.events(job_id)) as events:
                assert [logged.event async for logged in events] == found
        return found


def band(image_index: int, number: int) -> BandCompleted:
    return BandCompleted(
        image_index=image_index,
        band=number,
        token_digest="t",
        seconds=0.1,
        batch_size=1,
        preview=None,
    )


async def compare(url: str, operations: Sequence[tuple[Any, ...]]) -> None:
    offset = 0.0
    memory = Side(MemoryQueue(LIMITS, clock=lambda: 1e9 + offset))
    client: Any = connect(url)
    name = uuid.uuid4().hex
    redis = Side(RedisQueue(client, name=name, limits=LIMITS))
    try:
        for verb, *arguments in operations:
            if verb == "lapse":
                offset += 2 * LEASE_SECONDS
                for waiting in Keys(prefix=name).all_waiting("fake"):
                    await lapse(client, waiting)
                continue
            ours = await memory.do(verb, arguments)
            assert await redis.do(verb, arguments) == ours, (verb, arguments)
            assert await redis.queue.depth() == await memory.queue.depth()
            assert await redis.positions() == await memory.positions()
            assert await redis.uploads() == await memory.uploads()
            assert await redis.backlogs() == await memory.backlogs()
            assert await redis.dead() == await memory.dead()
            promised = (await memory.queue.memory()).promised
            assert (await redis.queue.memory()).promised == promised
        logs = await redis.logs()
        assert logs == await memory.logs()
        for log in logs:
            assert [is_terminal(event) for event in log[:-1]] == [False] * (len(log) - 1)
    finally:
        await redis.queue.close()


async def lapse(client: Any, waiting: str) -> None:
    """Makes every holder look silent for twice the lease."""
    if not await client.exists(waiting):
        return
    for pending in await client.xpending_range(waiting, GROUP, "-", "+", 100):
        # A hand-back is idle for longer than this already.
        if pending["time_since_delivered"] < 2000 * LEASE_SECONDS:
            await client.xclaim(
                waiting,
                GROUP,
                GROUP,
                0,
                [pending["message_id"]],
                idle=int(2000 * LEASE_SECONDS),
                justid=True,
            )


@pytest.mark.timeout(240)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(operations=st.lists(OPERATIONS, min_size=5, max_size=40))
def test_the_twins_agree(redis_server: RedisServer, operations: list[tuple[Any, ...]]) -> None:
    asyncio.run(compare(redis_server.url, operations))
