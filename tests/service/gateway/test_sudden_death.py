"""A gateway may die at every step of a call that it answers, and nothing is left of the call."""

from __future__ import annotations

import asyncio
import uuid

import httpx
import pytest

from service.domain import TERMINAL_STATES, JobState, is_terminal
from service.engine.fake_engine import FakeEngine
from service.gateway.rest.app import create_app
from service.jobs.queue import QueueLimits
from service.jobs.redis_connection import connect
from service.jobs.redis_queue import RedisQueue
from service.metrics import Metrics
from service.settings import GatewaySettings
from service.stack.redis_server import RedisServer
from tests.in_process_worker import working
from tests.mortal_queue import Mortal

ATTENDANCE_SECONDS = 0.5
BAND_SECONDS = 0.4
"""Five of them take much longer than it takes to miss a gateway."""


async def draw(queue: Mortal, *, leaves: bool) -> None:
    """A call to a gateway, whose caller may leave."""
    settings = GatewaySettings(attendance_seconds=ATTENDANCE_SECONDS, queue_timeout_seconds=60)
    app = create_app(queue=queue, settings=settings, metrics=Metrics())
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
        call = http.post("/v1/images/generations", json={"class_label": 1}, timeout=None)
        calling = asyncio.create_task(call)
        if leaves:
            while not await queue.depth():
                await asyncio.sleep(0.01)
            await asyncio.sleep(BAND_SECONDS)
            calling.cancel()
        await asyncio.wait([calling])
    await app.state.services.generation.close()
    await app.state.services.attendance.close()
    await app.state.services.engine_watch.close()


async def ended(queue: RedisQueue) -> list[str]:
    """The jobs, once nothing is outstanding."""
    while await queue.depth():
        await asyncio.sleep(0.05)
    prefix = queue._keys.job_prefix
    keys = [key.decode() async for key in queue._redis.scan_iter(f"{prefix}*", count=1000)]
    jobs = sorted({key.removeprefix(prefix).split(":")[0] for key in keys})
    for job in jobs:
        events = [logged.event for logged in await queue.history(job)]
        assert [is_terminal(event) for event in events].count(True) == 1
        assert is_terminal(events[-1])
        assert (await queue.job(job)).state in TERMINAL_STATES
    assert (await queue.memory()).promised == 0
    return jobs


@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("script", ["submit", "attend", "leave"])
async def test_whenever_a_gateway_dies_its_jobs_end_and_nothing_is_left(
    redis_server: RedisServer, script: str, carried_out: bool
) -> None:
    name = uuid.uuid4().hex
    mortal = Mortal(connect(redis_server.url), name=name, limits=QueueLimits())
    other = RedisQueue(connect(redis_server.url), name=name, limits=QueueLimits())
    mortal.kill_at(script, 0, carried_out=carried_out)
    async with asyncio.timeout(60), working(other, FakeEngine(band_seconds=BAND_SECONDS)):
        calling = asyncio.create_task(draw(mortal, leaves=script == "leave"))
        await mortal.died.wait()
        jobs = await ended(other)
        assert len(jobs) == (carried_out or script != "submit")
        for job in jobs:
            assert (await other.job(job)).state is JobState.CANCELLED
        mortal.lives_again.set()
        await calling
        assert len(await ended(other)) == 1
    await mortal.close()
    await other.close()
