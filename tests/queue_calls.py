"""What tests ask of a queue, in few words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from service.domain import BandCompleted, LoggedEvent, Picture
from service.jobs.queue import JobQueue, Lease, QueueLimits

NewQueue = Callable[[QueueLimits], JobQueue]
LEASE_SECONDS = 0.15


async def lease_one(queue: JobQueue, worker: str = "w") -> Lease:
    (lease,) = await queue.lease(worker, model="fake", count=1, wait_seconds=2)
    return lease


async def log_of(queue: JobQueue, job_id: str, *, after: str = "0") -> list[LoggedEvent]:
    async with asyncio.timeout(5), aclosing(queue.events(job_id, after=after)) as events:
        return [logged async for logged in events]


def band(number: int, *, image_index: int = 0, preview: Picture | None = None) -> BandCompleted:
    return BandCompleted(
        image_index=image_index,
        band=number,
        token_digest="t",
        seconds=0.5,
        batch_size=2,
        preview=preview,
    )


def picture_of(content: bytes) -> Picture:
    return Picture(digest=content.hex(), num_bytes=len(content), format="png", side=4)
