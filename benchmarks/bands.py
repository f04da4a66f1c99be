"""A worker by hand: jobs that are leased at once, and bands that are logged at a pace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from service.domain import BandCompleted, GenerationRequest, JobCompleted, Picture, Sampling
from service.engine.fake_engine import FAKE_CARD
from service.jobs.queue import Lease
from service.jobs.redis_queue import RedisQueue

REQUEST = GenerationRequest(
    model=FAKE_CARD.id,
    class_label=0,
    num_images=1,
    seed=7,
    sampling=Sampling(guidance_scale=1.5, top_k=0, top_p=1.0, temperature=1.0),
    bands=FAKE_CARD.num_bands,
    keep_bands=None,
    previews=(),
    picture_format="png",
    picture_quality=100,
    deadline_ms=None,
    start_within_ms=None,
    priority="normal",
    brownout="allow",
)
PREVIEW = Picture(digest="d" * 64, num_bytes=5000, format="png", side=64)


@dataclass(kw_only=True)
class Publications:
    """When each band of each job was handed to the queue, on the clock of `time.perf_counter`."""

    times: dict[tuple[str, int], float] = field(default_factory=dict)

    def of(self, job_id: str, band: int) -> float:
        return self.times[job_id, band]


async def leased_jobs(queue: RedisQueue, count: int) -> Sequence[Lease]:
    """New jobs that run, and that nobody but us will draw."""
    wanted = {(await queue.submit(REQUEST)).id for _ in range(count)}
    leases: dict[str, Lease] = {}
    # Others may wait from before, and come first.
    while wanted - leases.keys():
        for lease in await queue.lease("by-hand", model=FAKE_CARD.id, count=100, wait_seconds=1):
            leases[lease.job.id] = lease
    return [leases[job_id] for job_id in wanted]


async def publish_bands(
    queue: RedisQueue, leases: Sequence[Lease], *, bands: int, gap_seconds: float
) -> Publications:
    """All jobs side by side, out of step with each other, each up to its end."""
    publications = Publications()

    async def draw(lease: Lease, delay: float) -> None:
        due = time.perf_counter() + delay
        for band in range(bands):
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            publications.times[lease.job.id, band] = time.perf_counter()
            await queue.publish(lease, _completed(band), pictures={})
            due += gap_seconds
        await queue.finish(lease, JobCompleted())

    delays = [gap_seconds * index / len(leases) for index in range(len(leases))]
    await asyncio.gather(*map(draw, leases, delays))
    return publications


def _completed(band: int) -> BandCompleted:
    return BandCompleted(
        image_index=0,
        band=band,
        token_digest="t" * 64,
        seconds=0.0123,
        batch_size=4,
        preview=PREVIEW,
    )
