"""The laws of shedding bands, held by both queues alike."""

from __future__ import annotations

import asyncio

import pytest

from service.domain import ImageCompleted, JobCompleted
from service.errors import QueueFull
from service.jobs.queue import JobQueue, QueueLimits, Shedding, WorkerStatus
from tests.queue_calls import LEASE_SECONDS, NewQueue, lease_one, log_of, picture_of
from tests.requests import request_of


@pytest.mark.parametrize(("first", "later"), [(3, None), (None, 3), (2, 4)])
@pytest.mark.parametrize("ending", ["handed back", "lapsed"])
async def test_what_the_first_lease_allows_holds_for_every_later_one(
    queue: JobQueue, first: int | None, later: int | None, ending: str
) -> None:
    await queue.submit(request_of())
    (lease,) = await queue.lease("a", model="fake", count=1, wait_seconds=0, max_bands=first)
    assert (lease.max_bands, lease.bands) == (first, first or 5)
    if ending == "handed back":
        await queue.hand_back(lease)
    else:
        await asyncio.sleep(2 * LEASE_SECONDS)
    (again,) = await queue.lease("b", model="fake", count=1, wait_seconds=0, max_bands=later)
    assert (again.max_bands, again.bands) == (first, first or 5)


async def test_each_job_is_told_what_its_own_first_lease_allowed(queue: JobQueue) -> None:
    for _ in range(2):
        await queue.submit(request_of())
    told = []
    for limit in (4, None):
        (lease,) = await queue.lease("w", model="fake", count=1, wait_seconds=0, max_bands=limit)
        told.append(lease.bands)
    assert told == [4, 5]


@pytest.mark.parametrize(
    ("fields", "bands"),
    [
        ({}, 2),
        ({"bands": 1}, 1),
        ({"brownout": "never"}, 5),
        ({"keep_bands": 3}, 3),
        ({"keep_bands": 0}, 2),
    ],
)
async def test_nobody_gets_fewer_bands_than_they_accept(
    queue: JobQueue, fields: dict[str, object], bands: int
) -> None:
    request = request_of(**fields)
    await queue.submit(request)
    (lease,) = await queue.lease("w", model="fake", count=1, wait_seconds=0, max_bands=2)
    assert lease.job.request == request
    assert lease.bands == bands


async def test_a_full_queue_has_more_room_for_who_accepts_fewer_bands(new_queue: NewQueue) -> None:
    queue = new_queue(QueueLimits(max_depth=2, extra_depth=2))
    for _ in range(2):
        await queue.submit(request_of(brownout="never"))
    with pytest.raises(QueueFull):
        await queue.submit(request_of(brownout="never"))
    for _ in range(2):
        await queue.submit(request_of())
    for brownout in ("allow", "never"):
        with pytest.raises(QueueFull):
            await queue.submit(request_of(brownout=brownout))
    assert await queue.depth() == 4


async def test_the_mark_of_an_image_survives_the_passage(queue: JobQueue) -> None:
    job = await queue.submit(request_of())
    lease = await lease_one(queue)
    picture = picture_of(b"p")
    event = ImageCompleted(image_index=0, picture=picture, bands_completed=2, shed=True)
    await queue.publish(lease, event, pictures={picture.digest: b"p"})
    await queue.finish(lease, JobCompleted())
    assert event in [logged.event for logged in await log_of(queue, job.id)]


async def test_a_worker_tells_how_it_sheds(queue: JobQueue) -> None:
    shedding = Shedding(min_bands=2, target_seconds=0.5, fewest_now=5)
    status = WorkerStatus(
        worker_id="w", model="fake", engine="fake", engine_ready=True, shedding=shedding
    )
    await queue.heartbeat(status, ttl_seconds=5)
    assert list(await queue.workers()) == [status]
