"""Jobs whose caller need not stay: what has become of one, waiting for its end, cancelling it.

All of it is read from the queue, so any gateway can answer for any job.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace

from service.domain import (
    TERMINAL_STATES,
    BandCompleted,
    ImageCompleted,
    Job,
    JobCancelled,
    JobCompleted,
    JobFailed,
    JobState,
    LoggedEvent,
    Picture,
    is_terminal,
)
from service.errors import NotFound, QueueUnavailable, Refused
from service.gateway.access.principal import Principal
from service.gateway.cards import FleetCache, answered_within
from service.gateway.drain import Drain, Leaving
from service.gateway.estimates import UNKNOWN, Estimate, estimate_running, estimate_waiting
from service.gateway.request_traces import is_about_job
from service.jobs.event_ids import parse_event_id
from service.jobs.pace import Pace
from service.jobs.progress import state_after
from service.jobs.queue import JobQueue, Standing
from service.settings import GatewaySettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ImageProgress:
    """How far one image has come."""

    image_index: int
    bands_completed: int
    picture: Picture | None
    """None until the image is complete."""
    shed: bool = False
    """As in `ImageCompleted`."""
    timing: Mapping[str, float] | None = None
    """The same."""


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """What is known of a job at one moment."""

    job: Job
    position: int | None
    """As `JobQueue.position`."""
    images: tuple[ImageProgress, ...]
    """One per image that was asked for, in order."""
    failure: JobFailed | None
    estimate: Estimate = UNKNOWN


class NativeJobs:
    """Whatever a caller may ask of a job by its id. Another tenant's job is not found.

    `is_seen_whole`, `watch` and `content` are for a job that the caller has been shown by `job`.
    """

    def __init__(
        self, *, queue: JobQueue, fleet: FleetCache, settings: GatewaySettings, drain: Drain
    ) -> None:
        self._drain = drain
        self._queue = queue
        self._fleet = fleet
        self._wait = settings.queue_timeout_seconds

    async def job(self, job_id: str, *, caller: Principal) -> Job:
        """Raises NotFound, QueueUnavailable."""
        is_about_job(job_id)
        job = await answered_within(self._wait, self._queue.job(job_id))
        caller.require_sight_of(job)
        return job

    async def status(self, job_id: str, *, caller: Principal) -> JobStatus:
        """Raises NotFound, QueueUnavailable."""
        is_about_job(job_id)
        status = await answered_within(self._wait, self._status(job_id))
        caller.require_sight_of(status.job)
        return status

    async def outcome(
        self, job: Job, *, within_seconds: float, standing: Standing | None = None
    ) -> JobStatus:
        """The status of a job that was just accepted: at its end, or else when the time is up
        or this gateway stops.
        Without a wait, a job whose standing is known is told as it was accepted.

        Whoever gives up waiting leaves the job as it is. Raises QueueUnavailable if it is lost.
        """
        try:
            if within_seconds > 0:
                await self._end(job.id, within_seconds)
            elif standing is not None:
                return await self._as_accepted(job, standing)
            return await answered_within(self._wait, self._status(job.id))
        except NotFound:
            raise QueueUnavailable("the queue has lost the job") from None
        except Refused as error:
            # It is accepted all the same: an error would make its owner send it again.
            logger.warning("job %s was accepted but cannot be read: %s", job.id, error)
            return _status_of(job, history=(), position=None)

    async def cancel(self, job_id: str, *, caller: Principal) -> JobStatus:
        """A waiting job ends at once, a running one at its next band; an ended one stays as it is.
        Raises NotFound, QueueUnavailable."""
        await self.job(job_id, caller=caller)
        await answered_within(self._wait, self._queue.cancel(job_id))
        return await self.status(job_id, caller=caller)

    async def is_seen_whole(self, job_id: str, *, after: str) -> bool:
        """Whether no event will ever follow that one. Raises NotFound, InvalidRequest."""
        seen = parse_event_id(after)
        if seen == (0, 0):  # every job has a first event
            return False
        last = (await answered_within(self._wait, self._queue.history(job_id)))[-1]
        return is_terminal(last.event) and parse_event_id(last.id) <= seen

    def watch(self, job_id: str, *, after: str) -> AsyncGenerator[LoggedEvent]:
        """As `JobQueue.events`; watching does not touch the job."""
        return self._queue.events(job_id, after=after)

    async def image(self, job_id: str, index: int, *, caller: Principal) -> Picture:
        """The picture of a complete image. Raises NotFound, QueueUnavailable."""
        images = (await self.status(job_id, caller=caller)).images
        if index >= len(images):
            raise NotFound("the job has no such image", field="index")
        picture = images[index].picture
        if picture is None:
            raise NotFound("the image is not complete", field="index")
        return picture

    async def content(self, job_id: str, digest: str) -> bytes:
        """The bytes of a picture of the job. Raises NotFound, QueueUnavailable."""
        return await answered_within(self._wait, self._queue.picture(job_id, digest))

    async def _status(self, job_id: str) -> JobStatus:
        job = await self._queue.job(job_id)
        waits = job.state is JobState.QUEUED
        position = await self._queue.position(job_id) if waits else None
        # Last, so that it is never older than the state.
        history = await self._queue.history(job_id)
        status = _status_of(job, history=history, position=position)
        return replace(status, estimate=await self._estimate(status))

    async def _estimate(self, status: JobStatus) -> Estimate:
        job = status.job
        if job.state in TERMINAL_STATES or (pace := await self._pace(job)) is None:
            return UNKNOWN
        if status.position is None:
            completed = [image.bands_completed for image in status.images]
            return estimate_running(job.request, pace=pace, bands_completed=completed)
        running = (await self._queue.backlog(job.request.model)).running
        return estimate_waiting(job.request, pace=pace, position=status.position, running=running)

    async def _as_accepted(self, job: Job, standing: Standing) -> JobStatus:
        """The queue, which has just answered, need not be asked again."""
        position = standing.position
        status = _status_of(job, history=(), position=position)
        if (pace := await self._pace(job)) is None:
            return status
        running = standing.running
        estimate = estimate_waiting(job.request, pace=pace, position=position, running=running)
        return replace(status, estimate=estimate)

    async def _pace(self, job: Job) -> Pace | None:
        return (await self._fleet.fleet()).pace(job.request.model)

    async def _end(self, job_id: str, seconds: float) -> None:
        with suppress(TimeoutError, Leaving):
            async with (
                self._drain.cut_short(),
                asyncio.timeout(seconds),
                aclosing(self._queue.events(job_id)) as log,
            ):
                async for _ in log:
                    pass


def _status_of(job: Job, *, history: Sequence[LoggedEvent], position: int | None) -> JobStatus:
    images = [
        ImageProgress(image_index=index, bands_completed=0, picture=None)
        for index in range(job.request.num_images)
    ]
    failure = None
    for event in (logged.event for logged in history):
        if isinstance(event, BandCompleted | ImageCompleted):
            images[event.image_index] = _progress(event)
        elif isinstance(event, JobCompleted | JobFailed | JobCancelled):
            job = replace(job, state=state_after(event))
            failure = event if isinstance(event, JobFailed) else None
    return JobStatus(
        job=job,
        position=position if job.state is JobState.QUEUED else None,
        images=tuple(images),
        failure=failure,
    )


def _progress(event: BandCompleted | ImageCompleted) -> ImageProgress:
    index = event.image_index
    if isinstance(event, BandCompleted):
        return ImageProgress(image_index=index, bands_completed=event.band + 1, picture=None)
    return ImageProgress(
        image_index=index,
        bands_completed=event.bands_completed,
        picture=event.picture,
        shed=event.shed,
        timing=event.timing,
    )
