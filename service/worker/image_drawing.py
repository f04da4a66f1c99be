"""One image of a job: drawn band by band, published as it comes."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing

from service.domain import BandCompleted, ImageCompleted, Picture
from service.engine.engine import Canvas, DrawnBand, Engine, Generation
from service.errors import EngineUnavailable
from service.images import encode_picture
from service.jobs.queue import JobQueue, Lease
from service.metrics import Metrics
from service.worker.persistence import persistently

logger = logging.getLogger(__name__)

RETRY_PAUSES_SECONDS = (0.25, 0.5, 1.0, 2.0)
"""Between tries of an engine that fails."""


class CancelWanted(Exception):
    """The job's owner no longer wants it."""


class ImageDrawing:
    """Draws image `image_index` of a leased job."""

    def __init__(
        self,
        lease: Lease,
        image_index: int,
        *,
        queue: JobQueue,
        engine: Engine,
        slots: asyncio.Semaphore,
        metrics: Metrics,
    ) -> None:
        self._lease = lease
        self._request = lease.job.request
        self._image_index = image_index
        self._queue = queue
        self._engine = engine
        self._slots = slots
        self._metrics = metrics

    async def draw(self) -> None:
        """Raises CancelWanted, JobLost, or EngineUnavailable when the engine fails repeatedly."""
        for pause in RETRY_PAUSES_SECONDS:
            try:
                return await self._draw_once()
            except EngineUnavailable as error:
                logger.warning("job %s: %s; trying again", self._lease.job.id, error.message)
                await asyncio.sleep(pause)
        await self._draw_once()

    async def _draw_once(self) -> None:
        drawn: DrawnBand | None = None
        async with self._slots, aclosing(self._engine.draw(self._generation())) as bands:
            async for drawn in bands:
                await self._publish_band(drawn)
        assert drawn is not None, "an engine draws at least one band"
        picture, content = await self._picture(drawn.canvas)
        event = ImageCompleted(
            image_index=self._image_index, picture=picture, bands_completed=drawn.band + 1
        )
        await self._publish(event, {picture.digest: content})

    def _generation(self) -> Generation:
        request = self._request
        return Generation(
            class_label=request.class_label,
            seed=request.seed,
            image_index=self._image_index,
            sampling=request.sampling,
            bands=request.bands,
        )

    async def _publish_band(self, drawn: DrawnBand) -> None:
        preview, pictures = await self._preview(drawn)
        event = BandCompleted(
            image_index=self._image_index,
            band=drawn.band,
            token_digest=drawn.token_digest,
            seconds=drawn.seconds,
            batch_size=drawn.batch_size,
            preview=preview,
        )
        await self._publish(event, pictures)

    async def _preview(self, drawn: DrawnBand) -> tuple[Picture | None, dict[str, bytes]]:
        if drawn.band not in self._request.previews:
            return None, {}
        try:
            picture, content = await self._picture(drawn.canvas, preview_of=drawn.band)
        except EngineUnavailable:
            # A preview may be given up; the band, and in the end the image, may not.
            self._metrics.previews_dropped.labels(model=self._request.model).inc()
            return None, {}
        return picture, {picture.digest: content}

    async def _picture(
        self, canvas: Canvas, *, preview_of: int | None = None
    ) -> tuple[Picture, bytes]:
        pixels = await self._engine.decode(canvas, preview_of=preview_of)
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
