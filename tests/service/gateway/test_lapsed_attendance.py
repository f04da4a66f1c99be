"""A caller whose gateway was silent for too long is not told that the job was cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from service.engine.fake_engine import FakeEngine
from service.errors import QueueUnavailable
from service.gateway.attendance import Attendance
from service.gateway.rest.app import create_app
from service.jobs.memory_queue import MemoryQueue
from service.metrics import Metrics
from service.settings import GatewaySettings
from tests.in_process_worker import working

ATTENDANCE_SECONDS = 0.6
BAND_SECONDS = 0.5


class Queue(MemoryQueue):
    reachable = True

    async def attend(self, *args: Any) -> None:
        if not self.reachable:
            raise QueueUnavailable("the queue does not answer")
        await super().attend(*args)


@pytest.fixture
async def queue() -> AsyncGenerator[Queue]:
    queue = Queue()
    async with working(queue, FakeEngine(band_seconds=BAND_SECONDS)):
        yield queue


@pytest.fixture
async def gateway(queue: Queue) -> AsyncGenerator[httpx.AsyncClient]:
    settings = GatewaySettings(attendance_seconds=ATTENDANCE_SECONDS, models_ttl_seconds=0)
    app = create_app(queue=queue, settings=settings, metrics=Metrics())
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client
    await app.state.services.attendance.close()
    await app.state.services.engine_watch.close()


def draw(gateway: httpx.AsyncClient) -> asyncio.Task[httpx.Response]:
    body = {"class_label": 1}
    return asyncio.create_task(gateway.post("/v1/images/generations", json=body, timeout=30))


async def only_job(queue: Queue) -> str:
    while not queue._outstanding:
        await asyncio.sleep(0.01)
    return next(iter(queue._outstanding))


async def test_a_gateway_that_could_not_speak_for_its_caller_says_come_back(
    queue: Queue, gateway: httpx.AsyncClient
) -> None:
    calling = draw(gateway)
    await only_job(queue)
    queue.reachable = False
    answer = await calling
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "queue_unavailable")
    assert "retry-after" in answer.headers


async def test_one_that_could_tells_of_a_cancellation_as_such(
    queue: Queue, gateway: httpx.AsyncClient
) -> None:
    calling = draw(gateway)
    job = await only_job(queue)
    await asyncio.sleep(2 * ATTENDANCE_SECONDS)
    await queue.cancel(job)
    answer = await calling
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "job_cancelled")


async def test_a_lapse_is_remembered_after_it_was_made_good(queue: Queue) -> None:
    clock = asyncio.get_running_loop().time
    settings = GatewaySettings(attendance_seconds=ATTENDANCE_SECONDS)
    attendance = Attendance(queue=queue, settings=settings)
    before = clock()
    attendance.enter("job")
    await asyncio.sleep(ATTENDANCE_SECONDS / 2)
    assert not attendance.has_lapsed_since(before)
    queue.reachable = False
    await asyncio.sleep(2 * ATTENDANCE_SECONDS)
    assert attendance.has_lapsed_since(before)
    queue.reachable = True
    while attendance.has_lapsed_since(clock()):
        await asyncio.sleep(0.01)
    assert attendance.has_lapsed_since(before)
    await attendance.close()
