"""Callers who wait for a job that no engine is left to draw are told so, instead of waiting on.

At the door such a request is refused. This is for what was accepted a moment before the last
engine or the last worker went away, or was handed back by it. Jobs whose callers need not stay go
on waiting.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context

from service.domain import Job
from service.errors import QueueUnavailable
from service.gateway.cards import FleetCache, answered_within
from service.jobs.queue import JobQueue
from service.settings import GatewaySettings

logger = logging.getLogger(__name__)

LOOKS_PER_PATIENCE = 5


class EngineWatch:
    """One per gateway, for the attached jobs that are followed here."""

    def __init__(self, *, queue: JobQueue, fleet: FleetCache, settings: GatewaySettings) -> None:
        self._queue = queue
        self._fleet = fleet
        self._timeout_seconds = settings.queue_timeout_seconds
        self._patience_seconds = settings.engine_patience_seconds
        self._jobs: dict[str, str] = {}
        """Their models."""
        self._gone_since: dict[str, float] = {}
        """Models that could be drawn neither then nor whenever it was looked since."""
        self._watching: asyncio.Task[None] | None = None

    def enter(self, job: Job) -> None:
        """Somebody waits for the job's end here."""
        self._jobs[job.id] = job.request.model
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch(), context=Context())

    def leave(self, job_id: str) -> None:
        del self._jobs[job_id]

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def _watch(self) -> None:
        self._gone_since.clear()
        while self._jobs:
            try:
                await self._look()
            except QueueUnavailable as error:
                # Nobody knows, so nobody is told.
                self._gone_since.clear()
                logger.warning("whether an engine is left is not known: %s", error)
            await asyncio.sleep(self._patience_seconds / LOOKS_PER_PATIENCE)

    async def _look(self) -> None:
        fleet = await self._fleet.fleet()
        now = asyncio.get_running_loop().time()
        for model in set(self._jobs.values()):
            if fleet.engine_state(model) == "ready":
                self._gone_since.pop(model, None)
            elif now - self._gone_since.setdefault(model, now) >= self._patience_seconds:
                await self._fail_jobs_of(model)

    async def _fail_jobs_of(self, model: str) -> None:
        """Those that some worker holds all the same are its own to end."""
        jobs = [job_id for job_id, of_model in self._jobs.items() if of_model == model]
        calls = asyncio.gather(*map(self._queue.fail_unserved, jobs))
        await answered_within(self._timeout_seconds, calls)
