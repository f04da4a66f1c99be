"""Drawing images for a caller who waits: follow the log of an accepted job, give up in order.

What every front door shares. The doors hand their `Draft` to `admission` and translate what comes
out of here into their answer; jobs, limits and metrics are handled there and here alone.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

from service.domain import (
    BandCompleted,
    Event,
    ImageCompleted,
    Job,
    JobCancelled,
    JobFailed,
    JobStarted,
    LoggedEvent,
    Picture,
    is_terminal,
)
from service.errors import (
    Internal,
    JobCancelledError,
    NotFound,
    QueueUnavailable,
    from_code,
)
from service.gateway.admission import AcceptedJob
from service.gateway.attendance import Attendance
from service.gateway.engine_watch import EngineWatch
from service.gateway.patience import patience
from service.jobs.queue import JobQueue
from service.metrics import Metrics
from service.settings import GatewaySettings


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The picture of one image after a band that is not the last."""

    image_index: int
    preview_index: int
    """Its place among the previews that were asked for; one that was dropped leaves a gap."""
    band: int
    band_seconds: float
    speedup: Mapping[str, float] | None
    """As in `BandCompleted`."""
    at: float
    picture: Picture
    content: bytes


@dataclass(frozen=True, kw_only=True)
class UnseenBand:
    """A drawn band without a picture: nobody asked to see it, or its preview was dropped."""

    image_index: int
    band: int
    band_seconds: float
    speedup: Mapping[str, float] | None
    at: float


@dataclass(frozen=True, kw_only=True)
class FinishedImage:
    """One image, as the job's log and picture store have it."""

    image_index: int
    bands_completed: int
    shed: bool
    """As in `ImageCompleted`."""
    band_seconds: tuple[float, ...]
    """Time of each band's step where it ran; what was logged, in band order."""
    timing: Mapping[str, float] | None
    """As in `ImageCompleted`."""
    at: float
    picture: Picture
    content: bytes


class ImageGeneration:
    """Images for callers who stay until they are drawn (attached jobs)."""

    def __init__(
        self,
        *,
        queue: JobQueue,
        settings: GatewaySettings,
        metrics: Metrics,
        attendance: Attendance,
        engine_watch: EngineWatch,
    ) -> None:
        self._queue = queue
        self._settings = settings
        self._metrics = metrics
        self._attendance = attendance
        self._engine_watch = engine_watch
        self._accepting: set[asyncio.Task[AcceptedJob]] = set()
        self._following = 0

    async def own(self, accepting: Coroutine[Any, Any, AcceptedJob]) -> AcceptedJob:
        """The job once it is accepted; cancelled if its caller leaves at that very moment."""
        task = asyncio.create_task(accepting)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._accepting.add(task)
            task.add_done_callback(self._disown)
            raise

    async def follow_bands(
        self, accepted: AcceptedJob
    ) -> AsyncGenerator[AcceptedJob | Preview | UnseenBand | FinishedImage]:
        """The job itself, at once; then bands and images as they are drawn.

        Raises the error that the job failed with, which is EngineUnavailable if no engine is left
        to draw it, or DeadlineExceeded. The job belongs to whoever
        iterates: it is left when the iteration is given up before its end, and so cancelled
        unless somebody else watches it.
        """
        job, since = accepted.job, asyncio.get_running_loop().time()
        ended = seen_preview = False
        self._following += 1
        self._attendance.enter(job.id)
        self._engine_watch.enter(job)
        try:
            yield accepted
            async with aclosing(self._log(job)) as log:
                band_seconds: defaultdict[int, list[float]] = defaultdict(list)
                async for logged in log:
                    ended = is_terminal(logged.event)
                    self._raise_failure(logged.event, since=since)
                    shown = await self._shown(job, logged, band_seconds)
                    if isinstance(shown, Preview) and not seen_preview:
                        seen_preview = True
                        waited = max(0.0, logged.at - job.created_at)
                        self._metrics.first_preview.labels(model=job.request.model).observe(waited)
                    if shown is not None:
                        yield shown
        finally:
            self._following -= 1
            self._engine_watch.leave(job.id)
            self._attendance.leave(job.id, ended=ended)

    async def follow(self, accepted: AcceptedJob) -> AsyncGenerator[Preview | FinishedImage]:
        """As `follow_bands`, only what there is to see."""
        async with aclosing(self.follow_bands(accepted)) as items:
            async for item in items:
                if isinstance(item, Preview | FinishedImage):
                    yield item

    async def draw(self, accepted: AcceptedJob) -> list[FinishedImage]:
        """All images in order, drained from `follow`."""
        async with aclosing(self.follow(accepted)) as items:
            images = [item async for item in items if isinstance(item, FinishedImage)]
        if len(images) != accepted.job.request.num_images:
            raise Internal("the job ended before all of its images were drawn")
        return sorted(images, key=lambda image: image.image_index)

    async def close(self) -> None:
        """Lets those who follow a job finish, and waits for the cancellations they ask for."""
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * self._settings.queue_timeout_seconds):
                # The server has cancelled its requests but does not wait until they have ended.
                while self._following or self._accepting or self._attendance.is_leaving:
                    await asyncio.sleep(0.01)

    async def _log(self, job: Job) -> AsyncGenerator[LoggedEvent]:
        """The job's events, with the time limits of a waiting request."""
        accepted = asyncio.get_running_loop().time()
        timeout = self._settings.request_timeout_seconds
        limit = patience(job.request, timeout_seconds=timeout, started=False)
        async with aclosing(self._queue.events(job.id)) as events:
            while True:
                try:
                    # One step at a time: a timeout must not be open across a yield.
                    async with asyncio.timeout_at(accepted + limit.seconds):
                        logged = await anext(events)
                except StopAsyncIteration:
                    return
                except TimeoutError:
                    raise limit.exceeded() from None
                except NotFound:
                    # Accepted a moment ago: Redis has come back without it.
                    raise QueueUnavailable("the queue has lost the job") from None
                if isinstance(logged.event, JobStarted):
                    limit = patience(job.request, timeout_seconds=timeout, started=True)
                yield logged

    async def _shown(
        self, job: Job, logged: LoggedEvent, band_seconds: defaultdict[int, list[float]]
    ) -> Preview | UnseenBand | FinishedImage | None:
        event = logged.event
        if isinstance(event, BandCompleted):
            band_seconds[event.image_index].append(event.seconds)
            return await self._preview(job, event, logged.at) or UnseenBand(
                image_index=event.image_index,
                band=event.band,
                band_seconds=event.seconds,
                speedup=event.speedup,
                at=logged.at,
            )
        if isinstance(event, ImageCompleted):
            return FinishedImage(
                image_index=event.image_index,
                bands_completed=event.bands_completed,
                shed=event.shed,
                # A takeover close to its deadline may complete fewer than were logged before it.
                band_seconds=tuple(band_seconds[event.image_index][: event.bands_completed]),
                timing=event.timing,
                at=logged.at,
                picture=event.picture,
                content=await self._final_content(job.id, event.picture),
            )
        return None

    async def _preview(self, job: Job, event: BandCompleted, at: float) -> Preview | None:
        if event.preview is None or event.band not in job.request.previews:
            return None
        try:
            content = await self._queue.picture(job.id, event.preview.digest)
        except NotFound:
            # Previews may go missing; the final image may not.
            return None
        return Preview(
            image_index=event.image_index,
            preview_index=job.request.previews.index(event.band),
            band=event.band,
            band_seconds=event.seconds,
            speedup=event.speedup,
            at=at,
            picture=event.preview,
            content=content,
        )

    async def _final_content(self, job_id: str, picture: Picture) -> bytes:
        try:
            return await self._queue.picture(job_id, picture.digest)
        except NotFound:
            # Not the caller's 404: we promised this picture a moment ago.
            raise Internal("the image was drawn but its picture is gone") from None

    def _disown(self, accepting: asyncio.Task[AcceptedJob]) -> None:
        if not accepting.cancelled() and accepting.exception() is None:
            self._attendance.disown(accepting.result().job.id)
        self._accepting.discard(accepting)

    def _raise_failure(self, event: Event, *, since: float) -> None:
        if isinstance(event, JobFailed):
            raise from_code(event.code, event.message)
        if isinstance(event, JobCancelled):
            if self._attendance.has_lapsed_since(since):
                # Nobody cancelled it: its caller waits, and could not be spoken for.
                text = "the queue was out of reach for so long that the job was given up"
                raise QueueUnavailable(text, retry_after_s=1.0)
            raise JobCancelledError("the job was cancelled before its images were drawn")
