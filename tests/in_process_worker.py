"""A worker with a fake engine, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from service.engine.fake_engine import FakeEngine
from service.jobs.queue import JobQueue
from service.metrics import Metrics
from service.worker.heartbeat import Heartbeat
from service.worker.learned_pace import LearnedPace
from service.worker.worker import Worker


@asynccontextmanager
async def working(
    queue: JobQueue,
    engine: FakeEngine | None = None,
    *,
    max_generations: int = 8,
    ttl_seconds: float = 5.0,
    lease_seconds: float = 5.0,
    grace_seconds: float = 5.0,
) -> AsyncGenerator[asyncio.Event]:
    """From when it can be seen; yields the event that stops it, which the block's end sets."""
    engine = engine or FakeEngine()
    await engine.start()
    heartbeat = Heartbeat(
        queue=queue,
        engine=engine,
        worker_id="w",
        engine_name="fake",
        ttl_seconds=ttl_seconds,
        pace=LearnedPace(slots=max_generations),
    )
    worker = Worker(
        worker_id="w",
        queue=queue,
        engine=engine,
        heartbeat=heartbeat,
        metrics=Metrics(),
        max_generations=max_generations,
        lease_seconds=lease_seconds,
        grace_seconds=grace_seconds,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    while not await queue.workers():
        await asyncio.sleep(0.01)
    try:
        yield stop
    finally:
        stop.set()
        await running
