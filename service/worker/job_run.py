"""One leased job, from its lease to its terminal event."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from structlog.contextvars import bound_contextvars

from service.domain import JobCancelled, JobCompleted, JobFailed, TerminalEvent
from service.engine.engine import BandTokens, Engine, Generation
from service.errors import (
    DeadlineExceeded,
    DeadlineTooShort,
    EngineUnavailable,
    JobLost,
    QueueUnavailable,
    catalogued,
)
from service.jobs.progress import state_after
from service.jobs.queue import JobQueue, Lease
from service.metrics import Metrics
from service.tracing import NO_SPAN, Span, Value, entry_span
from service.worker.deadline import Deadline
from service.worker.image_drawing import CancelWanted, ImageDrawing
from service.worker.kept_bands import UploadExpired, kept_bands
from service.worker.learned_pace import LearnedPace
from service.worker.persistence import persistently

logger = logging.getLogger(__name__)

RENEWALS_PER_LEASE = 3


class EngineAway(Exception):
    """The engine fails whatever it is asked, not this job alone."""


class JobRun:
    """Draws all images of the job side by side, so that they share the engine's batches."""

    def __init__(
        self,
        lease: Lease,
        *,
        queue: JobQueue,
        engine: Engine,
        slots: asyncio.Semaphore,
        metrics: Metrics,
        pace: LearnedPace,
        engine_ready: Callable[[], bool],
        lease_seconds: float,
    ) -> None:
        """To be made as soon as the lease is there."""
        self._lease = lease
        self._queue = queue
        self._engine = engine
        self._slots = slots
        self._metrics = metrics
        self._pace = pace
        self._engine_ready = engine_ready
        self._leased_at = time.monotonic()
        clock = asyncio.get_running_loop().time
        self._deadline = Deadline(lease, pace, clock=clock)
        self._span: Span = NO_SPAN
        self._renew_seconds = lease_seconds / RENEWALS_PER_LEASE

    @property
    def num_images(self) -> int:
        return self._lease.job.request.num_images

    async def run(self) -> None:
        """To the end. Cancelling this hands the job back for another worker."""
        ids = {"job_id": self._lease.job.id, "request_id": self._lease.origin.request_id}
        with bound_contextvars(**ids), _job_span(self._lease) as self._span:
            await self._run()

    async def _run(self) -> None:
        self._observe_lease()
        try:
            event = await self._draw()
            await persistently(lambda: self._queue.finish(self._lease, event))
            self._observe_end(event)
        except JobLost as error:
            logger.warning("%s", error.message)
        except EngineAway:
            logger.warning("job %s waits for an engine", self._lease.job.id)
            await self._hand_back(counts=True)
        except asyncio.CancelledError:
            await self._hand_back()
            raise

    async def _draw(self) -> TerminalEvent:
        try:
            async with asyncio.TaskGroup() as group:
                keeper = group.create_task(self._keep_lease())
                await self._draw_images()
                keeper.cancel()
        except BaseExceptionGroup as failures:
            return self._verdict(failures)
        return JobCompleted()

    async def _draw_images(self) -> None:
        kept = await self._kept_bands()
        async with asyncio.TaskGroup() as group:
            for index in range(self.num_images):
                drawing = ImageDrawing(
                    self._lease,
                    self._generation(index, kept),
                    queue=self._queue,
                    engine=self._engine,
                    slots=self._slots,
                    metrics=self._metrics,
                    pace=self._pace,
                    deadline=self._deadline,
                )
                group.create_task(drawing.draw())

    async def _kept_bands(self) -> BandTokens:
        try:
            async with asyncio.timeout_at(self._deadline.last_call):
                return await kept_bands(self._lease.job, queue=self._queue, engine=self._engine)
        except TimeoutError:
            raise DeadlineTooShort("the uploaded image was not encoded in time") from None

    def _generation(self, image_index: int, kept: BandTokens) -> Generation:
        request = self._lease.job.request
        return Generation(
            class_label=request.class_label,
            seed=request.seed,
            image_index=image_index,
            sampling=request.sampling,
            bands=self._lease.bands,
            kept=kept,
        )

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(self._renew_seconds)
            try:
                if await self._queue.renew(self._lease):
                    raise CancelWanted
            except QueueUnavailable as error:
                logger.warning("job %s: %s", self._lease.job.id, error.message)

    def _verdict(self, failures: BaseExceptionGroup) -> TerminalEvent:
        """What the job's images failing together means for the job. Raises JobLost, EngineAway."""
        if failures.subgroup(JobLost):
            raise JobLost(f"job {self._lease.job.id} went to another worker")
        if failures.subgroup(CancelWanted):
            return JobCancelled()
        if failures.subgroup(DeadlineTooShort):
            code = catalogued(DeadlineTooShort("")).code
            return JobFailed(code=code, message="not even the first band was ready in time")
        if failures.subgroup(EngineUnavailable):
            # A caller who waits is told at once, and may be luckier with another request.
            if not self._engine_ready() and not self._lease.job.attached:
                raise EngineAway
            code = catalogued(EngineUnavailable("")).code
            return JobFailed(code=code, message="the engine failed repeatedly")
        if failures.subgroup(UploadExpired):
            code = catalogued(DeadlineExceeded("")).code
            return JobFailed(code=code, message="the job waited longer than its image is kept")
        logger.error("job %s failed", self._lease.job.id, exc_info=failures)
        return JobFailed(code="internal", message="the job failed by a defect of the service")

    async def _hand_back(self, *, counts: bool = False) -> None:
        try:
            await self._queue.hand_back(self._lease, counts=counts)
        except (JobLost, QueueUnavailable) as error:
            # Its lease will lapse, and then another worker takes the job over.
            logger.warning("job %s not handed back: %s", self._lease.job.id, error.message)

    def _observe_lease(self) -> None:
        job, model = self._lease.job, self._lease.job.request.model
        if job.attempts > 1:
            self._metrics.job_redeliveries.labels(model=model).inc()
            return
        waited = max(0.0, self._lease.leased_at - job.created_at)
        self._metrics.job_queue.labels(model=model).observe(waited)
        if self._lease.bands < job.request.bands:
            self._metrics.jobs_browned_out.labels(model=model).inc()

    def _observe_end(self, event: TerminalEvent) -> None:
        job = self._lease.job
        held = time.monotonic() - self._leased_at
        took = max(0.0, self._lease.leased_at - job.created_at + held)
        outcome = state_after(event).value
        self._span.set({"nfig.job.outcome": outcome})
        if isinstance(event, JobFailed):
            self._span.fail(event.code)
        if isinstance(event, JobCompleted):
            self._pace.add_job(held, num_images=self.num_images)
        self._metrics.job.labels(model=job.request.model, outcome=outcome).observe(took)


def _job_span(lease: Lease) -> Span:
    """One per lease, so that a takeover is a second one in the same trace."""
    job, origin = lease.job, lease.origin
    attributes: dict[str, Value] = {
        "nfig.job.id": job.id,
        "nfig.request.id": origin.request_id,
        "nfig.model": job.request.model,
        "nfig.job.attempt": job.attempts,
        "nfig.worker.id": lease.worker_id,
        "nfig.job.queue_seconds": max(0.0, lease.leased_at - job.created_at),
    }
    headers = {"traceparent": origin.traceparent, "tracestate": origin.tracestate}
    return entry_span("job", "consumer", attributes, headers=headers)
