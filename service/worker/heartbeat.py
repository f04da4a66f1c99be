"""A worker's sign of life: its model's card, whether its engine could draw right now, how fast it
draws and how many bands it sheds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from service.engine.engine import Engine
from service.errors import QueueUnavailable
from service.jobs.queue import JobQueue, WorkerStatus
from service.worker.brownout import Brownout
from service.worker.circuit import Circuit
from service.worker.learned_pace import LearnedPace

logger = logging.getLogger(__name__)

BEATS_PER_TTL = 3


class Heartbeat:
    """Says what the last canary found, unless the engine has failed too often since."""

    def __init__(
        self,
        *,
        queue: JobQueue,
        engine: Engine,
        worker_id: str,
        engine_name: str,
        ttl_seconds: float,
        pace: LearnedPace,
        circuit: Circuit | None = None,
        brownout: Brownout | None = None,
    ) -> None:
        self._queue = queue
        self._engine = engine
        self._worker_id = worker_id
        self._engine_name = engine_name
        self._ttl_seconds = ttl_seconds
        self.pace = pace
        self.brownout = brownout
        self._circuit = circuit or Circuit()
        self._found_ready = False

    @property
    def engine_ready(self) -> bool:
        return self._found_ready and self._circuit.closed

    @property
    def draws_with(self) -> str:
        """What two workers must share to draw the same image from the same request."""
        return f"{self._engine_name} {self._engine.card.digest}"

    async def run(self) -> None:
        """Checks and beats side by side: an engine that answers slowly silences nobody."""
        await self._check()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._every_beat(self._check))
            group.create_task(self._every_beat(self._beat))

    async def sign_off(self) -> None:
        """Tells that this worker takes no more jobs; `run` must have ended."""
        try:
            await self._queue.sign_off(self._worker_id)
        except QueueUnavailable as error:
            logger.warning("not signed off: %s", error.message)

    async def _every_beat(self, action: Callable[[], Awaitable[None]]) -> None:
        while True:
            await action()
            await asyncio.sleep(self._ttl_seconds / BEATS_PER_TTL)

    async def _check(self) -> None:
        ready = await self._engine.ready()
        if ready != self._found_ready:
            logger.info("the engine is %s", "ready" if ready else "not ready")
        self._found_ready = ready

    async def _beat(self) -> None:
        status = WorkerStatus(
            worker_id=self._worker_id,
            model=self._engine.card.id,
            engine=self._engine_name,
            engine_ready=self.engine_ready,
            pace=self.pace.snapshot(),
            shedding=None if self.brownout is None else self.brownout.status(),
        )
        try:
            await self._queue.register_model(self._engine.card)
            await self._queue.heartbeat(status, ttl_seconds=self._ttl_seconds)
            await self._queue.fail_late(status.model)
        except QueueUnavailable as error:
            logger.warning("no heartbeat: %s", error.message)
