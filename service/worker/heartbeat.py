"""A worker's sign of life: its model's card, and whether its engine could draw right now."""

from __future__ import annotations

import asyncio
import logging

from service.engine.engine import Engine
from service.errors import QueueUnavailable
from service.jobs.queue import JobQueue, WorkerStatus

logger = logging.getLogger(__name__)

BEATS_PER_TTL = 3


class Heartbeat:
    """`engine_ready` is what the last canary found."""

    def __init__(
        self,
        *,
        queue: JobQueue,
        engine: Engine,
        worker_id: str,
        engine_name: str,
        ttl_seconds: float,
    ) -> None:
        self._queue = queue
        self._engine = engine
        self._worker_id = worker_id
        self._engine_name = engine_name
        self._ttl_seconds = ttl_seconds
        self.engine_ready = False

    async def beat(self) -> None:
        """Once. Never raises for a queue that is away."""
        self.engine_ready = await self._engine.ready()
        status = WorkerStatus(
            worker_id=self._worker_id,
            model=self._engine.card.id,
            engine=self._engine_name,
            engine_ready=self.engine_ready,
        )
        try:
            await self._queue.register_model(self._engine.card)
            await self._queue.heartbeat(status, ttl_seconds=self._ttl_seconds)
        except QueueUnavailable as error:
            logger.warning("no heartbeat: %s", error.message)

    async def run(self) -> None:
        while True:
            await self.beat()
            await asyncio.sleep(self._ttl_seconds / BEATS_PER_TTL)
