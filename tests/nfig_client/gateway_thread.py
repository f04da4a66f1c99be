"""A real gateway with a worker and the fake engine, on a loop of its own, so that tests may block.

The queue outlives a gateway: `restart` is what a deployment does.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

import uvicorn

from service.engine.fake_engine import FakeEngine
from service.gateway.rest.app import create_app
from service.jobs.memory_queue import MemoryQueue
from service.jobs.queue import QueueLimits
from service.metrics import Metrics
from service.settings import GatewaySettings
from service.worker.brownout import Brownout
from service.worker.heartbeat import Heartbeat
from service.worker.learned_pace import LearnedPace
from service.worker.worker import Worker

T = TypeVar("T")
PATIENCE_SECONDS = 30.0


class GatewayThread:
    """A context manager; `url` answers inside it."""

    def __init__(self, **settings: object) -> None:
        self._settings = settings
        self.engine = FakeEngine()
        self.brownout = Brownout(
            num_bands=self.engine.card.num_bands, min_bands=2, target_seconds=1e9
        )
        self.queue = MemoryQueue(QueueLimits(max_depth=8))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._stop_worker = asyncio.Event()
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        return self._port

    def __enter__(self) -> Self:
        self._thread.start()
        self.call(self._start_worker())
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._stop_worker_now()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        self._loop.close()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs it on the gateway's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    def num_jobs(self) -> int:
        """Jobs that were ever created."""
        return len(self.queue._records)

    def start(self) -> None:
        """On the same port as before."""
        self.call(self._serve())

    def stop(self) -> None:
        """What SIGTERM does, with little grace."""
        self.call(self._stop_server())

    async def _serve(self) -> None:
        values = {"models_ttl_seconds": 0, "queue_timeout_seconds": 5, **self._settings}
        settings = GatewaySettings(**values)
        app = create_app(queue=self.queue, settings=settings, metrics=Metrics())
        listener = socket.create_server(("127.0.0.1", self._port))
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=0)
        self._server = uvicorn.Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        while not self._server.started:
            await asyncio.sleep(0.01)

    async def _stop_server(self) -> None:
        self._server.should_exit = True
        await self._serving

    async def _start_worker(self) -> None:
        await self.engine.start()
        heartbeat = Heartbeat(
            queue=self.queue,
            engine=self.engine,
            worker_id="w",
            engine_name="fake",
            ttl_seconds=5.0,
            pace=LearnedPace(slots=8),
            brownout=self.brownout,
        )
        worker = Worker(
            worker_id="w",
            queue=self.queue,
            engine=self.engine,
            heartbeat=heartbeat,
            metrics=Metrics(),
            max_generations=8,
            lease_seconds=5.0,
            grace_seconds=0.0,
        )
        self._working = asyncio.create_task(worker.run(self._stop_worker))
        while not await self.queue.workers():
            await asyncio.sleep(0.001)

    def _stop_worker_now(self) -> None:
        async def stop() -> None:
            self._stop_worker.set()
            await self._working
            await self.engine.close()

        self.call(stop())
