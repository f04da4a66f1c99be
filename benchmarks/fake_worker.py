"""`python -m benchmarks.fake_worker BAND_SECONDS MAX_GENERATIONS`: a worker with a fake engine
that takes its time over each band; the queue comes from the environment, as for any worker."""

from __future__ import annotations

import asyncio
import sys

from service.engine.fake_engine import FakeEngine
from service.jobs.redis_queue import RedisQueue
from service.metrics import Metrics
from service.settings import WorkerSettings, read_settings
from service.worker.heartbeat import Heartbeat
from service.worker.learned_pace import LearnedPace
from service.worker.worker import Worker


async def serve(*, band_seconds: float, max_generations: int) -> None:
    settings = read_settings(WorkerSettings)
    queue = RedisQueue.from_settings(settings)
    engine = FakeEngine(band_seconds=band_seconds)
    await engine.start()
    heartbeat = Heartbeat(
        queue=queue,
        engine=engine,
        worker_id="benchmark",
        engine_name="fake",
        pace=LearnedPace(slots=max_generations),
        ttl_seconds=6.0,
    )
    worker = Worker(
        worker_id="benchmark",
        queue=queue,
        engine=engine,
        heartbeat=heartbeat,
        metrics=Metrics(),
        max_generations=max_generations,
        lease_seconds=settings.lease_seconds,
        grace_seconds=0.0,
    )
    # Until it is killed: nobody comes back for its jobs.
    await worker.run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(serve(band_seconds=float(sys.argv[1]), max_generations=int(sys.argv[2])))
