"""A worker with a fake engine, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from service.engine.fake_engine import FakeEngine
from service.jobs.redis_queue import RedisQueue
from service.metrics import Metrics
from service.worker.heartbeat import Heartbeat
from service.worker.learned_pace import LearnedPace
from service.worker.worker import Worker


@asynccontextmanager
async def working(
    queue: RedisQueue,
) -> AsyncGenerator[None]:
    """From when it can be seen; stops with the block."""
    engine = FakeEngine()
    await engine.start()
    heartbeat = Heartbeat(
        queue=queue,
        engine=engine,
        worker_id="w",
        engine_name="fake",
        ttl_seconds=5.0,
        pace=LearnedPace(slots=8),
    )
    made = Worker(
        worker_id="w",
        queue=queue,
        engine=engine,
        heartbeat=heartbeat,
        metrics=Metrics(),
        max_generations=8,
        lease_seconds=5.0,
        grace_seconds=5.0,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(made.run(stop))
    while not await queue.workers():
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        stop.set()
        await running
