"""Laws of a gateway process that is told to stop, or is killed, over a real Redis."""

from __future__ import annotations

import asyncio
import json
import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.domain import JobCancelled, JobState
from service.engine.fake_engine import FakeEngine
from service.jobs.queue import QueueLimits
from service.jobs.redis_connection import connect
from service.jobs.redis_queue import RedisQueue
from service.stack.redis_server import RedisServer
from tests.gateway_process import free_port, running
from tests.in_process_worker import working
from tests.queue_calls import log_of

BAND_SECONDS = 0.3
BODY = {"class_label": 1, "seed": 7}


@pytest.fixture
async def queue(redis_server: RedisServer) -> AsyncIterator[RedisQueue]:
    made = RedisQueue(connect(redis_server.url), name=uuid.uuid4().hex, limits=QueueLimits())
    yield made
    await made.close()


@pytest.fixture
async def worker(queue: RedisQueue) -> AsyncIterator[None]:
    """Draws slowly, in this process."""
    engine = FakeEngine(band_seconds=BAND_SECONDS)
    async with working(queue, engine, lease_seconds=15.0, grace_seconds=0.0):
        yield


@pytest.fixture
def settings(redis_server: RedisServer, queue: RedisQueue) -> dict[str, object]:
    return {"redis_url": redis_server.url, "queue_name": queue._keys.prefix}


@asynccontextmanager
async def gateway(log: Path, **settings: object) -> AsyncIterator[tuple[Any, httpx.AsyncClient]]:
    """As `running`, but this process goes on with its worker meanwhile."""
    context = running(log, **settings)
    process, url = await asyncio.to_thread(context.__enter__)
    try:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            yield process, client
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


async def read(client: httpx.AsyncClient, job: str, after: str) -> tuple[list[str], list[str]]:
    """The ids and the lines of a stream of events, to its end."""
    headers = {"last-event-id": after}
    async with client.stream("GET", f"/v1/jobs/{job}/events", headers=headers) as answer:
        lines = [line async for line in answer.aiter_lines()]
    return [line[4:] for line in lines if line.startswith("id: ")], lines


async def wait(process: Any) -> int:
    status: int = await asyncio.to_thread(process.wait, 15)
    return status


async def test_a_watcher_is_sent_elsewhere_and_misses_nothing(
    tmp_path: Path, worker: None, queue: RedisQueue, settings: dict[str, object]
) -> None:
    async with (
        gateway(tmp_path / "old", **settings) as (process, old),
        gateway(tmp_path / "new", **settings) as (_, new),
    ):
        job = (await old.post("/v1/jobs", json=BODY)).json()["id"]
        watching = asyncio.create_task(read(old, job, "0"))
        await asyncio.sleep(2 * BAND_SECONDS)
        process.send_signal(signal.SIGTERM)
        first, lines = await watching
        assert [line for line in lines if line.startswith("retry: ")]
        assert len(first) < 8
        assert await wait(process) == 0
        rest, _ = await read(new, job, first[-1])
        assert first + rest == [logged.id for logged in await log_of(queue, job)]


async def test_an_attached_stream_is_finished_while_nobody_new_is_let_in(
    tmp_path: Path, worker: None, settings: dict[str, object]
) -> None:
    port = free_port()
    async with gateway(tmp_path / "log", internal_port=port, **settings) as (process, client):
        body = {**BODY, "stream": True}
        async with client.stream("POST", "/v1/images/generations", json=body) as answer:
            assert answer.status_code == 200
            process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.4)
            async with httpx.AsyncClient() as probe:
                ready = await probe.get(f"http://127.0.0.1:{port}/health/ready")
                assert (ready.status_code, ready.json()["code"]) == (503, "shutting_down")
                assert int(ready.headers["retry-after"]) >= 1
                with pytest.raises(httpx.ConnectError):
                    await probe.post(f"{client.base_url}/v1/images/generations", json=BODY)
            lines = [line async for line in answer.aiter_lines()]
        assert "event: image_generation.completed" in lines
        assert await wait(process) == 0


async def test_a_wait_for_a_job_is_answered_with_the_job_as_it_is(
    tmp_path: Path, worker: None, queue: RedisQueue, settings: dict[str, object]
) -> None:
    async with gateway(tmp_path / "log", **settings) as (process, client):
        headers = {"prefer": "wait=20"}
        asking = asyncio.create_task(client.post("/v1/jobs", json=BODY, headers=headers))
        await asyncio.sleep(2 * BAND_SECONDS)
        process.send_signal(signal.SIGTERM)
        answer = await asking
        assert (answer.status_code, answer.json()["state"]) == (202, "running")
        assert await wait(process) == 0
        assert (await log_of(queue, answer.json()["id"]))[-1].event != JobCancelled()


async def test_grace_has_an_end_and_then_the_job_ends_too(
    tmp_path: Path, worker: None, queue: RedisQueue, settings: dict[str, object]
) -> None:
    grace = {"shutdown_grace_seconds": 0}
    async with gateway(tmp_path / "log", **grace, **settings) as (process, client):
        body = {**BODY, "stream": True, "partial_images": 3}
        with pytest.raises(httpx.RemoteProtocolError):
            async with client.stream("POST", "/v1/images/generations", json=body) as answer:
                async for line in answer.aiter_lines():
                    if line.startswith("data: "):
                        job = json.loads(line[6:])["job"]
                        process.send_signal(signal.SIGTERM)
        assert await wait(process) == 0
        assert (await log_of(queue, job))[-1].event == JobCancelled()


async def test_a_job_attached_to_a_gateway_that_is_killed_ends(
    tmp_path: Path, queue: RedisQueue, worker: None, settings: dict[str, object]
) -> None:
    limits = {"attendance_seconds": 0.5, **settings}
    async with gateway(tmp_path / "log", **limits) as (process, client):
        body = {**BODY, "n": 2, "stream": True, "partial_images": 3}
        with pytest.raises(httpx.TransportError):
            async with client.stream("POST", "/v1/images/generations", json=body) as answer:
                async for line in answer.aiter_lines():
                    if line.startswith("data: "):
                        job = json.loads(line[6:])["job"]
                        process.kill()
        assert (await log_of(queue, job))[-1].event == JobCancelled()


async def test_a_job_that_others_watch_outlives_its_caller(
    tmp_path: Path, queue: RedisQueue, worker: None, settings: dict[str, object]
) -> None:
    async with (
        gateway(tmp_path / "one", attendance_seconds=0.5, **settings) as (_, client),
        gateway(tmp_path / "two", attendance_seconds=0.5, **settings) as (_, other),
    ):
        body = {**BODY, "stream": True, "partial_images": 3}
        async with client.stream("POST", "/v1/images/generations", json=body) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    job = json.loads(line[6:])["job"]
                    watching = asyncio.create_task(read(other, job, "0"))
                    await asyncio.sleep(0.1)
                    break
        await watching
        assert (await queue.job(job)).state is JobState.COMPLETED
