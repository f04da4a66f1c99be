"""One image of a job: drawn band by band, published as it comes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager, suppress

from service.domain import BandCompleted, ImageCompleted, Picture
from service.engine.engine import Canvas, DrawnBand, Engine, Generation
from service.errors import DeadlineTooShort, EngineUnavailable
from service.images import encode_picture
from service.jobs.queue import JobQueue, Lease
from service.metrics import Metrics
from service.tracing import NO_SPAN, Span, Value, span
from service.worker.deadline import Deadline
from service.worker.learned_pace import LearnedPace
from service.worker.persistence import persistently, with_retries
from service.worker.speedup import speedup
from service.worker.timing import ImageTiming, PictureKind


class CancelWanted(Exception):
    """The job's owner no longer wants it."""


class _LastCall(Exception):
    """There is no time for another band."""


class ImageDrawing:
    """Draws one image of a leased job."""

    def __init__(
        self,
        lease: Lease,
        generation: Generation,
        *,
        queue: JobQueue,
        engine: Engine,
        slots: asyncio.Semaphore,
        metrics: Metrics,
        pace: LearnedPace,
        deadline: Deadline,
    ) -> None:
        self._lease = lease
        self._request = lease.job.request
        self._generation = generation
        self._queue = queue
        self._engine = engine
        self._slots = slots
        self._metrics = metrics
        self._pace = pace
        self._deadline = deadline
        self._timing = self._new_timing()
        self._span: Span = NO_SPAN
        self._best: DrawnBand | None = None
        """The furthest band by now; a try that begins anew does not lose it."""

    async def draw(self) -> None:
        """Every band that was asked for, or those that fit before the deadline.

        Raises CancelWanted, JobLost, DeadlineTooShort if no band fits, or EngineUnavailable when
        the engine fails repeatedly.
        """
        generation = self._generation
        attributes = {
            "nfig.image_index": generation.image_index,
            "nfig.class_label": generation.class_label,
            "nfig.bands": generation.bands,
        }
        with span("generation", attributes) as self._span:
            await with_retries(self._draw_once)

    def _new_timing(self) -> ImageTiming:
        waited = self._deadline.age_at_lease
        return ImageTiming(self._metrics, model=self._request.model, queue_seconds=waited)

    async def _draw_once(self) -> None:
        self._timing = self._new_timing()
        try:
            await self._draw_bands()
        except _LastCall:
            # What is there by now is the image.
            if self._best is None:
                raise DeadlineTooShort("not even the first band was ready in time") from None
        assert self._best is not None, "an engine draws at least one band"
        started = time.monotonic()
        picture, content = await self._picture(self._best.canvas)
        completed = self._best.band + 1
        event = ImageCompleted(
            image_index=self._generation.image_index,
            picture=picture,
            bands_completed=completed,
            shed=self._generation.bands < self._request.bands,
            timing=self._timing.parts(total_seconds=self._deadline.age),
        )
        await self._publish(event, {picture.digest: content})
        self._pace.picture.add(time.monotonic() - started)
        self._save("brownout", self._request.bands - self._generation.bands)
        self._save("deadline", self._generation.bands - completed)

    def _save(self, reason: str, bands: int) -> None:
        labels = {"model": self._request.model, "reason": reason}
        self._metrics.bands_saved.labels(**labels).inc(bands)

    async def _draw_bands(self) -> None:
        """Raises _LastCall when there is no time for another band."""
        async with self._slot(), aclosing(self._engine.draw(self._generation)) as bands:
            for band in range(self._generation.bands):
                if not self._deadline.allows_band(band):
                    raise _LastCall
                drawn = await self._next(bands, band)
                self._timing.add_band(drawn)
                if self._best is None or drawn.band > self._best.band:
                    self._best = drawn
                await self._publish_band(drawn)
            async with self._until_last_call():
                await anext(bands, None)  # so that the engine ends its side in order

    async def _next(self, bands: AsyncGenerator[DrawnBand], band: int) -> DrawnBand:
        # Around the wait alone: a band that is drawn is published whole.
        started = time.monotonic()
        try:
            async with self._until_last_call():
                drawn = await anext(bands)
        except _LastCall:
            self._pace.band(band).add_at_least(time.monotonic() - started)
            raise
        self._pace.band(band).add(time.monotonic() - started)
        return drawn

    @asynccontextmanager
    async def _slot(self) -> AsyncGenerator[None]:
        async with self._until_last_call():
            await self._slots.acquire()
        try:
            yield
        finally:
            self._slots.release()

    @asynccontextmanager
    async def _until_last_call(self) -> AsyncGenerator[None]:
        limit = asyncio.timeout_at(self._deadline.last_call)
        try:
            async with limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise _LastCall from None

    async def _publish_band(self, drawn: DrawnBand) -> None:
        self._trace(drawn)
        preview, pictures = await self._preview(drawn)
        kept = drawn.band < len(self._generation.kept)
        event = BandCompleted(
            image_index=self._generation.image_index,
            band=drawn.band,
            token_digest=drawn.token_digest,
            seconds=drawn.seconds,
            batch_size=drawn.batch_size,
            preview=preview,
            kept=kept,
            speedup=None if kept else speedup(drawn),
        )
        await self._publish(event, pictures)

    def _trace(self, drawn: DrawnBand) -> None:
        attributes: dict[str, Value] = {
            "nfig.band": drawn.band,
            "nfig.band.seconds": drawn.seconds,
            "nfig.batch_size": drawn.batch_size,
            "nfig.token_digest": drawn.token_digest,
        }
        self._span.event("band", attributes)

    async def _preview(self, drawn: DrawnBand) -> tuple[Picture | None, dict[str, bytes]]:
        is_last = drawn.band == self._generation.bands - 1
        if is_last or drawn.band not in self._request.previews:
            return None, {}
        # A preview may be given up; the band, and in the end the image, may not.
        if self._deadline.allows_preview():
            with suppress(EngineUnavailable):
                picture, content = await self._picture(drawn.canvas, preview_of=drawn.band)
                return picture, {picture.digest: content}
        self._metrics.previews_dropped.labels(model=self._request.model).inc()
        return None, {}

    async def _picture(
        self, canvas: Canvas, *, preview_of: int | None = None
    ) -> tuple[Picture, bytes]:
        kind: PictureKind = "image" if preview_of is None else "preview"
        with self._timing.part("decode", kind):
            pixels = await self._engine.decode(canvas, preview_of=preview_of)
        with self._timing.part("encode", kind):
            return await asyncio.to_thread(
                encode_picture,
                pixels,
                picture_format=self._request.picture_format,
                quality=self._request.picture_quality,
            )

    async def _publish(
        self, event: BandCompleted | ImageCompleted, pictures: dict[str, bytes]
    ) -> None:
        cancel_wanted = await persistently(
            lambda: self._queue.publish(self._lease, event, pictures=pictures)
        )
        if cancel_wanted:
            raise CancelWanted
