"""`python -m benchmarks.fake_worker PACE SECONDS MAX_GENERATIONS`: a worker with a fake engine that
takes its time, `SECONDS` over each `band` or over a whole `image`, whichever `PACE` says; the queue
comes from the environment, as for any worker."""

from __future__ import annotations

import asyncio
import sys

from benchmarks.paced_engine import PacedEngine
from service.engine.fake_engine import FakeEngine
from service.jobs.redis_queue import RedisQueue
from service.metrics import Metrics
from service.settings import WorkerSettings, read_settings
from service.worker.brownout import Brownout
from service.worker.heartbeat import Heartbeat
from service.worker.learned_pace import LearnedPace
from service.worker.worker import Worker


async def serve(engine: FakeEngine, *, max_generations: int) -> None:
    settings = read_settings(WorkerSettings)
    queue = RedisQueue.from_settings(settings)
    await engine.start()
    heartbeat = Heartbeat(
        queue=queue,
        engine=engine,
        worker_id="benchmark",
        engine_name="fake",
        pace=LearnedPace(slots=max_generations),
        brownout=Brownout.from_settings(settings, num_bands=engine.card.num_bands),
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


def engine_of(pace: str, seconds: float) -> FakeEngine:
    return PacedEngine(seconds) if pace == "image" else FakeEngine(band_seconds=seconds)


if __name__ == "__main__":
    chosen = engine_of(sys.argv[1], float(sys.argv[2]))
    asyncio.run(serve(chosen, max_generations=int(sys.argv[3])))
