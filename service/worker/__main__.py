"""`python -m service.worker`: settings from the environment, SIGTERM drains."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import uuid

from prometheus_client import start_http_server

from service.engine.engine import Engine
from service.errors import EngineUnavailable
from service.jobs.redis_queue import RedisQueue
from service.logs import configure_logs
from service.metrics import Metrics
from service.settings import WorkerSettings, read_settings
from service.tracing import start_tracing, stop_tracing
from service.worker.brownout import Brownout
from service.worker.circuit import Circuit, GuardedEngine
from service.worker.engines import build_engine
from service.worker.heartbeat import Heartbeat
from service.worker.learned_pace import LearnedPace
from service.worker.persistence import PAUSE_SECONDS
from service.worker.worker import Worker

logger = logging.getLogger("service.worker")

HEARTBEAT_TTL_SECONDS = 6.0


def main() -> None:
    settings = read_settings(WorkerSettings)
    configure_logs(process="worker")
    metrics = Metrics()
    if settings.worker_port:
        start_http_server(
            settings.worker_port, addr=settings.worker_host, registry=metrics.registry
        )
    try:
        start_tracing(settings.tracing_endpoint, process="worker")
        asyncio.run(serve(settings, metrics))
    except ValueError as error:
        raise SystemExit(f"worker: {error}") from None
    finally:
        stop_tracing()


async def serve(settings: WorkerSettings, metrics: Metrics) -> None:
    """Runs one worker until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    queue = RedisQueue.from_settings(settings)
    await queue.require_usable()
    circuit = Circuit()
    engine = GuardedEngine(build_engine(settings, metrics), circuit)
    worker_id = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    try:
        if not await _started(engine, stop):
            return
        heartbeat = Heartbeat(
            queue=queue,
            engine=engine,
            worker_id=worker_id,
            engine_name=settings.engine,
            ttl_seconds=HEARTBEAT_TTL_SECONDS,
            pace=LearnedPace(slots=settings.max_generations),
            circuit=circuit,
            brownout=Brownout.from_settings(settings, num_bands=engine.card.num_bands),
        )
        worker = Worker(
            worker_id=worker_id,
            queue=queue,
            engine=engine,
            heartbeat=heartbeat,
            metrics=metrics,
            max_generations=settings.max_generations,
            lease_seconds=settings.lease_seconds,
            grace_seconds=settings.grace_seconds,
        )
        logger.info("worker %s draws %s with %s", worker_id, engine.card.id, settings.engine)
        await worker.run(stop)
    finally:
        await engine.close()
        await queue.close()


async def _started(engine: Engine, stop: asyncio.Event) -> bool:
    """Starts the engine, however long it takes to come up. False if told to stop before."""
    stopping = asyncio.create_task(stop.wait())
    try:
        while not stop.is_set():
            starting = asyncio.create_task(engine.start())
            await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                starting.cancel()
                await asyncio.wait([starting])
                return False
            try:
                starting.result()
                return True
            except EngineUnavailable as error:
                logger.warning("%s; trying again", error.message)
                await asyncio.sleep(PAUSE_SECONDS)
        return False
    finally:
        stopping.cancel()


if __name__ == "__main__":
    main()
