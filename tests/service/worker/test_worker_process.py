"""Worker processes over a real Redis: killed, stopped, and without their Redis."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from service.domain import BandCompleted, Event, ImageCompleted, JobCompleted, JobState, is_terminal
from service.errors import QueueUnavailable
from service.jobs.queue import QueueLimits
from service.jobs.redis_connection import connect
from service.jobs.redis_queue import RedisQueue
from service.stack.processes import ChildProcess, free_port, start_process
from service.stack.redis_server import RedisServer, start_redis
from tests.requests import request_of

LEASE_SECONDS = 1.0
LIMITS = QueueLimits(lease_seconds=LEASE_SECONDS)
StartWorker = Callable[[str], ChildProcess]


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def start_worker(name: str, tmp_path: Path) -> Iterator[StartWorker]:
    started: list[ChildProcess] = []

    def start(redis_url: str) -> ChildProcess:
        environment = {
            "NFIG_REDIS_URL": redis_url,
            "NFIG_QUEUE_NAME": name,
            "NFIG_ENGINE": "fake",
            "NFIG_LEASE_SECONDS": str(LEASE_SECONDS),
            "NFIG_WORKER_PORT": "0",
        }
        command = [sys.executable, "-m", "service.worker"]
        log = tmp_path / f"worker-{len(started)}.log"
        started.append(start_process("worker", command, log=log, environment=environment))
        return started[-1]

    yield start
    for child in started:
        child.stop()


@pytest.fixture
async def queue(redis_server: RedisServer, name: str) -> AsyncIterator[RedisQueue]:
    queue = RedisQueue(connect(redis_server.url), name=name, limits=LIMITS)
    yield queue
    await queue.close()


async def log_of(queue: RedisQueue, job_id: str) -> list[Event]:
    async with asyncio.timeout(30), aclosing(queue.events(job_id)) as events:
        return [logged.event async for logged in events]


async def until_running(queue: RedisQueue, job_id: str) -> None:
    async with asyncio.timeout(30):
        while (await queue.job(job_id)).state is not JobState.RUNNING:
            await asyncio.sleep(0.01)


async def test_a_job_survives_the_death_of_its_worker(
    queue: RedisQueue, redis_server: RedisServer, start_worker: StartWorker
) -> None:
    requests = [request_of(num_images=10, seed=seed) for seed in range(20)]
    jobs = [await queue.submit(request) for request in requests]
    victim = start_worker(redis_server.url)
    await until_running(queue, jobs[2].id)
    victim.process.send_signal(signal.SIGKILL)
    start_worker(redis_server.url)
    for job in jobs:
        log = await log_of(queue, job.id)
        assert log[-1] == JobCompleted()
        assert sum(is_terminal(event) for event in log) == 1
        bands = [(e.image_index, e.band) for e in log if isinstance(e, BandCompleted)]
        assert sorted(bands) == [(image, band) for image in range(10) for band in range(5)]
        assert sum(isinstance(event, ImageCompleted) for event in log) == 10


async def test_sigterm_ends_a_worker_in_order(
    queue: RedisQueue, redis_server: RedisServer, start_worker: StartWorker
) -> None:
    job = await queue.submit(request_of())
    worker = start_worker(redis_server.url)
    assert (await log_of(queue, job.id))[-1] == JobCompleted()
    worker.process.terminate()
    assert await asyncio.to_thread(worker.process.wait, 20) == 0


async def test_jobs_and_workers_outlive_a_restart_of_redis(
    name: str, start_worker: StartWorker, tmp_path: Path
) -> None:
    port, data, log = free_port(), tmp_path / "data", tmp_path / "redis.log"
    server = start_redis(data, log, port=port)
    queue = RedisQueue(connect(server.url), name=name, limits=LIMITS)
    try:
        waiting = await queue.submit(request_of())
        server.stop()
        began = time.monotonic()
        with pytest.raises(QueueUnavailable):
            await queue.submit(request_of())
        assert time.monotonic() - began < 2
        worker = start_worker(server.url)
        server = start_redis(data, log, port=port)
        assert (await log_of(queue, waiting.id))[-1] == JobCompleted()
        server.stop()
        await asyncio.sleep(1)
        server = start_redis(data, log, port=port)
        job = await queue.submit(request_of(seed=8))
        assert (await log_of(queue, job.id))[-1] == JobCompleted()
        assert worker.exit_status() is None
    finally:
        await queue.close()
        server.stop()


async def test_a_redis_that_lost_everything_serves_again(
    name: str, start_worker: StartWorker, tmp_path: Path
) -> None:
    port, log = free_port(), tmp_path / "redis.log"
    server = start_redis(tmp_path / "old", log, port=port)
    queue = RedisQueue(connect(server.url), name=name, limits=LIMITS)
    try:
        start_worker(server.url)
        before = await queue.submit(request_of())
        assert (await log_of(queue, before.id))[-1] == JobCompleted()
        server.stop()
        server = start_redis(tmp_path / "empty", log, port=port)
        after = await queue.submit(request_of())
        assert (await log_of(queue, after.id))[-1] == JobCompleted()
    finally:
        await queue.close()
        server.stop()
