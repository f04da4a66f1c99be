"""The bands that all images of a job share with the image that was uploaded for it."""

from __future__ import annotations

import numpy as np

from service.domain import Job
from service.engine.engine import BandTokens, Engine
from service.errors import DeadlineExceeded, NotFound
from service.jobs.queue import JobQueue
from service.worker.persistence import persistently, with_retries


async def kept_bands(job: Job, *, queue: JobQueue, engine: Engine) -> BandTokens:
    """Encodes the upload; without one there are no bands to keep.

    Every worker that takes the job does this anew and gets the same tokens. Raises
    DeadlineExceeded if the upload has expired, EngineUnavailable.
    """
    keep_bands = job.request.keep_bands
    if keep_bands is None:
        return ()
    side = engine.card.image_size
    try:
        content = await persistently(lambda: queue.upload(job.id))
    except NotFound:
        raise DeadlineExceeded(f"the image of job {job.id} has expired") from None
    pixels = np.frombuffer(content, np.uint8).reshape(side, side, 3)
    return (await with_retries(lambda: engine.encode(pixels)))[:keep_bands]
