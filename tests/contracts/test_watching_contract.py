"""However many watch a job, whenever they come and however slow they are: each sees each event
once, in order, up to the end. Held by the queue in Redis and by its twin in memory alike."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import aclosing
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.domain import JobCompleted, LoggedEvent
from service.jobs import feeds
from service.jobs.memory_queue import MemoryQueue
from service.jobs.queue import JobQueue, Lease, QueueLimits
from service.jobs.redis_connection import connect
from service.jobs.redis_queue import RedisQueue
from tests.queue_calls import band, log_of
from tests.requests import request_of

STEPS = 12


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How one watcher behaves."""

    job: int
    joins: int
    """The step before which it comes; at STEPS the job has ended."""
    hangs_up_after: int
    """Events that it takes before it comes back with the id of the last one; 0 stays."""
    nap_ms: int
    """How long it takes over each event."""


HABITS = st.builds(
    Habits,
    job=st.integers(0, 1),
    joins=st.integers(0, STEPS),
    hangs_up_after=st.integers(0, 5),
    nap_ms=st.sampled_from([0, 0, 1, 4]),
)


async def watch(queue: JobQueue, job_id: str, habits: Habits) -> list[LoggedEvent]:
    seen: list[LoggedEvent] = []
    while True:
        before = len(seen)
        async with aclosing(queue.events(job_id, after=seen[-1].id if seen else "0")) as events:
            async for logged in events:
                seen.append(logged)
                await asyncio.sleep(habits.nap_ms / 1000)
                if len(seen) - before == habits.hangs_up_after:
                    break
            else:
                return seen


async def play(queue: JobQueue, everyone: list[Habits], step_ms: list[int]) -> None:
    jobs = [(await queue.submit(request_of())).id for _ in range(2)]
    leases = list(await queue.lease("w", model="fake", count=2, wait_seconds=0))
    watching: list[tuple[str, asyncio.Task[list[LoggedEvent]]]] = []
    for step in range(STEPS + 1):
        for habits in (each for each in everyone if each.joins == step):
            job_id = jobs[habits.job]
            watching.append((job_id, asyncio.create_task(watch(queue, job_id, habits))))
        if step < STEPS:
            await asyncio.sleep(step_ms[step] / 1000)
            await publish(queue, leases, step)
    async with asyncio.timeout(10):
        for job_id, watcher in watching:
            assert await watcher == await log_of(queue, job_id)
    assert len(await log_of(queue, jobs[0])) == STEPS + 2


async def publish(queue: JobQueue, leases: list[Lease], step: int) -> None:
    for lease in leases:
        if step < STEPS - 1:
            await queue.publish(lease, band(step), pictures={})
        else:
            await queue.finish(lease, JobCompleted())


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", ["memory", "redis"])
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    everyone=st.lists(HABITS, min_size=1, max_size=20),
    step_ms=st.lists(st.sampled_from([0, 0, 1, 3]), min_size=STEPS, max_size=STEPS),
    room=st.sampled_from([1, 3, feeds.PLACE_EVENTS]),
)
def test_each_watcher_sees_each_event_once_and_in_order(
    kind: str,
    request: pytest.FixtureRequest,
    everyone: list[Habits],
    step_ms: list[int],
    room: int,
) -> None:
    url = request.getfixturevalue("redis_server").url

    async def run() -> None:
        queue: JobQueue = MemoryQueue()
        if kind == "redis":
            queue = RedisQueue(connect(url), name=uuid.uuid4().hex, limits=QueueLimits())
        try:
            await play(queue, everyone, step_ms)
        finally:
            await queue.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feeds, "PLACE_EVENTS", room)
        asyncio.run(run())
