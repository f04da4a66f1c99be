"""The bands that all images of a job share with the image that was uploaded for it."""

from __future__ import annotations

import numpy as np

from service.domain import Job
from service.engine.engine import BandTokens, Engine
from service.errors import NotFound
from service.jobs.queue import JobQueue
from service.worker.persistence import persistently, with_retries


class UploadExpired(Exception):
    """The job has waited for longer than its image is kept."""


async def kept_bands(job: Job, *, queue: JobQueue, engine: Engine) -> BandTokens:
    """Encodes the upload; without one there are no bands to keep.

    Every worker that takes the job does this anew and gets the same tokens. Raises
    UploadExpired, EngineUnavailable.
    """
    keep_bands = job.request.keep_bands
    if keep_bands is None:
        return ()
    side = engine.card.image_size
    try:
        content = await persistently(lambda: queue.upload(job.id))
    except NotFound:
        raise UploadExpired from None
    pixels = np.frombuffer(content, np.uint8).reshape(side, side, 3)
    return (await with_retries(lambda: engine.encode(pixels)))[:keep_bands]
