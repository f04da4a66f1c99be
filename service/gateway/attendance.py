"""Who waits for jobs through this gateway; the queue is told so for as long as they do.

An attached job ends as cancelled when nobody waits for it any more, at any gateway. Whoever leaves
in order says so; a gateway that dies says nothing, and then its word lapses.
"""

from __future__ import annotations

import asyncio
import logging
import math
import uuid
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import Context

from service.domain import Job
from service.errors import ServiceError
from service.gateway.cards import answered_within
from service.jobs.queue import Attendee, JobQueue
from service.settings import GatewaySettings

logger = logging.getLogger(__name__)

RENEWALS_PER_LEASE = 3


class Attendance:
    """One per gateway, which attends a job once for all who wait for it here."""

    def __init__(self, *, queue: JobQueue, settings: GatewaySettings) -> None:
        self.attendee = Attendee(id=uuid.uuid4().hex, seconds=settings.attendance_seconds)
        self._queue = queue
        self._timeout_seconds = settings.queue_timeout_seconds
        self._waiting: Counter[str] = Counter()
        """How many wait for each job."""
        self._renewing: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._said_at = self._lapsed_at = -math.inf
        """When the queue was last told, and when it had last not been for too long; on the loop's
        clock."""

    def enter(self, job_id: str) -> None:
        """One more waits for the job, which this gateway attends already."""
        self._waiting[job_id] += 1
        if self._renewing is None or self._renewing.done():
            self._said_at = _now()
            self._renewing = asyncio.create_task(self._renew(), context=Context())

    def leave(self, job_id: str, *, ended: bool) -> None:
        """One less. Returns at once: who leaves is often being cancelled at this very moment."""
        self._waiting[job_id] -= 1
        if self._waiting[job_id] > 0:
            return
        del self._waiting[job_id]
        if not ended:
            self.disown(job_id)

    def has_lapsed_since(self, moment: float) -> bool:
        """Whether the queue may have taken those who have waited here since then for gone."""
        return self._lapsed_at > moment or _now() - self._said_at > self.attendee.seconds

    def disown(self, job_id: str) -> None:
        """Nobody here waits for the job, nor will."""
        task = asyncio.create_task(self._leave(job_id))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    @asynccontextmanager
    async def watching(self, job: Job) -> AsyncGenerator[None]:
        """Somebody watches a job that may be another's, and keeps it alive meanwhile."""
        if not job.attached:
            yield
            return
        self.enter(job.id)
        try:
            await self._attend([job.id])
            yield
        finally:
            self.leave(job.id, ended=False)

    @property
    def is_leaving(self) -> bool:
        return bool(self._leaving)

    async def close(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)

    async def _renew(self) -> None:
        while self._waiting:
            await asyncio.sleep(self.attendee.seconds / RENEWALS_PER_LEASE)
            if await self._attend(list(self._waiting)):
                now = _now()
                if now - self._said_at > self.attendee.seconds:
                    self._lapsed_at = now
                self._said_at = now

    async def _attend(self, job_ids: list[str]) -> bool:
        try:
            call = self._queue.attend(job_ids, self.attendee)
            await answered_within(self._timeout_seconds, call)
            return True
        except ServiceError as error:
            logger.warning("%d jobs could not be attended: %s", len(job_ids), error)
            return False

    async def _leave(self, job_id: str) -> None:
        try:
            call = self._queue.leave(job_id, self.attendee)
            await answered_within(self._timeout_seconds, call)
        except ServiceError as error:
            # Our word for it lapses.
            logger.warning("job %s could not be left: %s", job_id, error)


def _now() -> float:
    return asyncio.get_running_loop().time()
