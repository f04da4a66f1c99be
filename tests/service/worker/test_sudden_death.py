"""A worker may die at every step that it takes, and come back to life when another has gone on."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from service.domain import BandCompleted, ImageCompleted, JobCompleted, LoggedEvent, is_terminal
from service.jobs.queue import QueueLimits
from service.jobs.redis_connection import connect
from service.jobs.redis_queue import RedisQueue
from service.stack.redis_server import RedisServer
from tests.in_process_worker import working
from tests.mortal_queue import Mortal
from tests.queue_calls import log_of
from tests.requests import request_of

IMAGES = 2
PUBLISHED = IMAGES * (5 + 1)
STEPS = [("lease", 0), *(("publish", number) for number in range(PUBLISHED)), ("finish", 0)]
LIMITS = QueueLimits(lease_seconds=0.5)


@dataclass(frozen=True)
class Story:
    """What became of a job: all that may not depend on who drew it."""

    bands: Sequence[tuple[int, int, str]]
    images: Sequence[tuple[int, str]]

    @classmethod
    def of(cls, log: Sequence[LoggedEvent]) -> Story:
        events = [logged.event for logged in log]
        assert [is_terminal(event) for event in events].count(True) == 1
        assert events[-1] == JobCompleted()
        drawn = [event for event in events if isinstance(event, BandCompleted)]
        for index in range(IMAGES):
            bands = [event.band for event in drawn if event.image_index == index]
            assert bands == sorted(set(bands))
        images = [event for event in events if isinstance(event, ImageCompleted)]
        return cls(
            bands=sorted((each.image_index, each.band, each.token_digest) for each in drawn),
            images=sorted((each.image_index, each.picture.digest) for each in images),
        )


def queue_of(server: RedisServer, name: str) -> RedisQueue:
    return RedisQueue(connect(server.url), name=name, limits=LIMITS)


async def undisturbed(server: RedisServer) -> Story:
    queue = queue_of(server, uuid.uuid4().hex)
    job = await queue.submit(request_of(num_images=IMAGES))
    async with working(queue):
        story = Story.of(await log_of(queue, job.id))
    await queue.close()
    return story


async def live(mortal: Mortal) -> None:
    """As a worker, to an end in order after its second life."""
    async with working(mortal, lease_seconds=LIMITS.lease_seconds):
        await mortal.lives_again.wait()


async def disturbed(
    server: RedisServer, script: str, number: int, *, carried_out: bool
) -> tuple[Story, Story]:
    """When another worker has ended the job, and when the dead one has been alive again."""
    name = uuid.uuid4().hex
    mortal = Mortal(connect(server.url), name=name, limits=LIMITS)
    mortal.kill_at(script, number, carried_out=carried_out)
    other = queue_of(server, name)
    async with AsyncExitStack() as closing:
        closing.push_async_callback(other.close)
        closing.push_async_callback(mortal.close)
        job = await other.submit(request_of(num_images=IMAGES), footprint=1000)
        life = asyncio.create_task(live(mortal))
        await mortal.died.wait()
        try:
            async with working(other, lease_seconds=LIMITS.lease_seconds):
                await log_of(other, job.id)
                before = Story.of(await other.history(job.id))
        finally:
            mortal.lives_again.set()
            await life
        # Not as its watchers see it: they leave with the first end.
        after = Story.of(await other.history(job.id))
        for _, digest in after.images:
            assert await other.picture(job.id, digest)
        assert await other.depth() == 0
        assert (await other.memory()).promised == 0
    return before, after


@pytest.mark.parametrize("carried_out", [False, True])
async def test_whenever_a_worker_dies_its_job_comes_to_the_same_end(
    redis_server: RedisServer, carried_out: bool
) -> None:
    expected = await undisturbed(redis_server)
    # At once: they sleep most of the time, until a lease lapses.
    stories = (disturbed(redis_server, *step, carried_out=carried_out) for step in STEPS)
    ends = await asyncio.gather(*stories, return_exceptions=True)
    for step, found in zip(STEPS, ends, strict=True):
        if isinstance(found, BaseException):
            raise found
        assert found == (expected, expected), step
