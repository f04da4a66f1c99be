"""The laws of `JobQueue`, held by the queue in Redis and by its twin in memory alike."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace

import pytest

from service.domain import (
    BandCompleted,
    Event,
    GenerationRequest,
    ImageCompleted,
    JobCancelled,
    JobCompleted,
    JobFailed,
    JobQueued,
    JobStarted,
    JobState,
    LoggedEvent,
    Picture,
    is_terminal,
)
from service.engine.fake_engine import FAKE_CARD
from service.errors import JobLost, NotFound, QueueFull
from service.jobs.memory_queue import MemoryQueue
from service.jobs.queue import JobQueue, Lease, QueueLimits, WorkerStatus
from service.jobs.redis_connection import connect
from service.jobs.redis_queue import RedisQueue
from service.stack.redis_server import RedisServer
from tests.requests import request_of

NewQueue = Callable[[QueueLimits], JobQueue]
LEASE_SECONDS = 0.15


@pytest.fixture(params=["memory", "redis"])
async def new_queue(request: pytest.FixtureRequest) -> AsyncIterator[NewQueue]:
    queues: list[JobQueue] = []

    def build(limits: QueueLimits) -> JobQueue:
        if request.param == "memory":
            queue: JobQueue = MemoryQueue(limits)
        else:
            server: RedisServer = request.getfixturevalue("redis_server")
            # A name of its own instead of flushing, so that tests may run side by side.
            queue = RedisQueue(connect(server.url), name=uuid.uuid4().hex, limits=limits)
        queues.append(queue)
        return queue

    yield build
    for queue in queues:
        await queue.close()


@pytest.fixture
def queue(new_queue: NewQueue) -> JobQueue:
    return new_queue(QueueLimits(lease_seconds=LEASE_SECONDS, max_depth=5))


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


async def test_a_job_passes_from_queue_to_worker_to_watcher(queue: JobQueue) -> None:
    request = request_of(num_images=1)
    job = await queue.submit(request)
    assert await queue.job(job.id) == job
    lease = await lease_one(queue)
    assert lease.job == replace(job, state=JobState.RUNNING, attempts=1)
    preview, final = picture_of(b"low"), picture_of(b"high")
    done = ImageCompleted(image_index=0, picture=final, bands_completed=2)
    await queue.publish(lease, band(0, preview=preview), pictures={preview.digest: b"low"})
    await queue.publish(lease, band(1), pictures={})
    await queue.publish(lease, done, pictures={final.digest: b"high"})
    await queue.finish(lease, JobCompleted())
    log = await log_of(queue, job.id)
    assert [logged.event for logged in log] == [
        JobQueued(),
        JobStarted(attempt=1),
        band(0, preview=preview),
        band(1),
        done,
        JobCompleted(),
    ]
    assert await queue.picture(job.id, preview.digest) == b"low"
    assert await queue.picture(job.id, final.digest) == b"high"
    assert (await queue.job(job.id)).state is JobState.COMPLETED
    assert await queue.depth() == 0


async def test_jobs_are_leased_once_and_in_order(queue: JobQueue) -> None:
    jobs = [await queue.submit(request_of()) for _ in range(3)]
    first = await queue.lease("a", model="fake", count=2, wait_seconds=0)
    second = await queue.lease("b", model="fake", count=2, wait_seconds=0)
    assert [lease.job.id for lease in [*first, *second]] == [job.id for job in jobs]
    assert list(await queue.lease("c", model="fake", count=2, wait_seconds=0)) == []


async def test_a_worker_takes_only_jobs_of_its_model(queue: JobQueue) -> None:
    await queue.submit(request_of(model="other"))
    assert list(await queue.lease("w", model="fake", count=1, wait_seconds=0)) == []
    assert len(await queue.lease("w", model="other", count=1, wait_seconds=0)) == 1


async def test_a_waiting_worker_hears_of_a_job_at_once(queue: JobQueue) -> None:
    waiting = asyncio.create_task(queue.lease("w", model="fake", count=1, wait_seconds=5))
    await asyncio.sleep(0.05)
    job = await queue.submit(request_of())
    (lease,) = await asyncio.wait_for(waiting, timeout=2)
    assert lease.job.id == job.id


async def test_event_ids_rise_strictly(queue: JobQueue) -> None:
    job = await queue.submit(request_of(num_images=3))
    lease = await lease_one(queue)
    for number in range(5):
        for image_index in range(3):
            await queue.publish(lease, band(number, image_index=image_index), pictures={})
    await queue.finish(lease, JobCompleted())
    ids = [tuple(map(int, logged.id.split("-"))) for logged in await log_of(queue, job.id)]
    assert len(ids) == 18
    assert all(earlier < later for earlier, later in zip(ids, ids[1:], strict=False))


async def test_every_watcher_sees_the_same_log_early_late_or_resumed(queue: JobQueue) -> None:
    job = await queue.submit(request_of())
    early = [asyncio.create_task(log_of(queue, job.id)) for _ in range(3)]
    lease = await lease_one(queue)
    for number in range(4):
        await queue.publish(lease, band(number), pictures={})
    await queue.finish(lease, JobCompleted())
    late = await log_of(queue, job.id)
    for watcher in early:
        assert await watcher == late
    for index, logged in enumerate(late[:-1]):
        assert await log_of(queue, job.id, after=logged.id) == late[index + 1 :]


async def test_a_band_is_logged_once_per_image(queue: JobQueue) -> None:
    job = await queue.submit(request_of(num_images=2))
    lease = await lease_one(queue)
    done = ImageCompleted(image_index=0, picture=picture_of(b"x"), bands_completed=3)
    news: list[BandCompleted | ImageCompleted] = [band(0), band(1), band(2), done]
    for event in [news[0], *news[:2], *news, band(1), band(0, image_index=1), done]:
        await queue.publish(lease, event, pictures={})
    await queue.finish(lease, JobCompleted())
    events: list[Event] = [logged.event for logged in await log_of(queue, job.id)]
    assert events[2:-1] == [*news, band(0, image_index=1)]


async def test_a_lapsed_lease_is_taken_over_and_its_holder_fenced_off(queue: JobQueue) -> None:
    job = await queue.submit(request_of())
    old = await lease_one(queue, "old")
    await asyncio.sleep(2 * LEASE_SECONDS)
    new = await lease_one(queue, "new")
    assert new.job.id == job.id
    assert new.epoch > old.epoch
    assert new.job.attempts == 2
    writes: list[Callable[[], Awaitable[object]]] = [
        lambda: queue.publish(old, band(0), pictures={"00": b"late"}),
        lambda: queue.finish(old, JobCompleted()),
        lambda: queue.renew(old),
        lambda: queue.hand_back(old),
    ]
    for write in writes:
        with pytest.raises(JobLost):
            await write()
    with pytest.raises(NotFound):
        await queue.picture(job.id, "00")
    await queue.finish(new, JobCompleted())
    assert sum(is_terminal(logged.event) for logged in await log_of(queue, job.id)) == 1


async def test_a_renewed_lease_is_not_taken_over(queue: JobQueue) -> None:
    await queue.submit(request_of())
    lease = await lease_one(queue, "holder")
    for _ in range(6):
        await asyncio.sleep(LEASE_SECONDS / 3)
        assert await queue.renew(lease) is False
        assert list(await queue.lease("thief", model="fake", count=1, wait_seconds=0)) == []


async def test_a_job_that_kills_its_workers_fails_in_the_end(new_queue: NewQueue) -> None:
    queue = new_queue(QueueLimits(lease_seconds=0.05, max_attempts=2))
    job = await queue.submit(request_of())
    for worker in ("a", "b"):
        await lease_one(queue, worker)
        await asyncio.sleep(0.1)
    assert list(await queue.lease("c", model="fake", count=1, wait_seconds=0)) == []
    assert isinstance((await log_of(queue, job.id))[-1].event, JobFailed)
    assert (await queue.job(job.id)).state is JobState.FAILED
    assert await queue.depth() == 0


async def test_a_job_handed_back_goes_first_and_does_not_count(queue: JobQueue) -> None:
    first, second = [await queue.submit(request_of()) for _ in range(2)]
    lease = await lease_one(queue, "leaving")
    await queue.hand_back(lease)
    assert (await queue.job(first.id)).state is JobState.QUEUED
    leases = await queue.lease("next", model="fake", count=2, wait_seconds=0)
    assert [lease.job.id for lease in leases] == [first.id, second.id]
    assert leases[0].job.attempts == 1
    with pytest.raises(JobLost):
        await queue.finish(lease, JobCompleted())


async def test_cancelling_a_waiting_job_ends_it_at_once(queue: JobQueue) -> None:
    job = await queue.submit(request_of())
    await queue.cancel(job.id)
    assert (await log_of(queue, job.id))[-1].event == JobCancelled()
    assert list(await queue.lease("w", model="fake", count=1, wait_seconds=0)) == []
    assert await queue.depth() == 0
    await queue.cancel(job.id)
    assert (await queue.job(job.id)).state is JobState.CANCELLED


async def test_cancelling_a_job_handed_back_ends_it_at_once(queue: JobQueue) -> None:
    job = await queue.submit(request_of())
    await queue.hand_back(await lease_one(queue))
    await queue.cancel(job.id)
    assert (await log_of(queue, job.id))[-1].event == JobCancelled()
    assert list(await queue.lease("w", model="fake", count=1, wait_seconds=0)) == []


async def test_the_holder_of_a_running_job_hears_of_its_cancelling(queue: JobQueue) -> None:
    job = await queue.submit(request_of())
    lease = await lease_one(queue)
    assert await queue.publish(lease, band(0), pictures={}) is False
    await queue.cancel(job.id)
    assert (await queue.job(job.id)).state is JobState.RUNNING
    assert await queue.renew(lease) is True
    assert await queue.publish(lease, band(1), pictures={}) is True
    await queue.finish(lease, JobCancelled())
    assert (await queue.job(job.id)).state is JobState.CANCELLED


async def test_a_cancelled_job_is_not_taken_over(queue: JobQueue) -> None:
    job = await queue.submit(request_of())
    await lease_one(queue, "dies")
    await queue.cancel(job.id)
    await asyncio.sleep(2 * LEASE_SECONDS)
    assert list(await queue.lease("next", model="fake", count=1, wait_seconds=0)) == []
    assert (await log_of(queue, job.id))[-1].event == JobCancelled()


async def test_an_ended_job_takes_no_more_writes(queue: JobQueue) -> None:
    job = await queue.submit(request_of())
    lease = await lease_one(queue)
    await queue.finish(lease, JobCompleted())
    await queue.cancel(job.id)
    with pytest.raises(JobLost):
        await queue.publish(lease, band(0), pictures={})
    with pytest.raises(JobLost):
        await queue.finish(lease, JobCancelled())
    assert [logged.event for logged in await log_of(queue, job.id)][-1] == JobCompleted()


async def test_one_job_more_than_the_depth_is_refused(queue: JobQueue) -> None:
    jobs = [await queue.submit(request_of()) for _ in range(5)]
    with pytest.raises(QueueFull) as refused:
        await queue.submit(request_of())
    assert refused.value.retry_after_s is not None
    await queue.cancel(jobs[0].id)
    await queue.submit(request_of())
    assert await queue.depth() == 5


async def test_what_has_ended_is_forgotten_in_time(new_queue: NewQueue) -> None:
    queue = new_queue(QueueLimits(retention_seconds=0.2))
    job = await queue.submit(request_of())
    lease = await lease_one(queue)
    await queue.publish(lease, band(0), pictures={"aa": b"low"})
    await queue.finish(lease, JobCompleted())
    assert await queue.picture(job.id, "aa") == b"low"
    await asyncio.sleep(0.4)
    with pytest.raises(NotFound):
        await queue.job(job.id)
    with pytest.raises(NotFound):
        await queue.picture(job.id, "aa")
    with pytest.raises(NotFound):
        await log_of(queue, job.id)


async def test_unknown_names_are_not_found(queue: JobQueue) -> None:
    job = await queue.submit(request_of())
    reads: list[Callable[[], Awaitable[object]]] = [
        lambda: queue.job("none"),
        lambda: log_of(queue, "none"),
        lambda: queue.cancel("none"),
        lambda: queue.picture(job.id, "none"),
        lambda: queue.picture("none", "none"),
    ]
    for read in reads:
        with pytest.raises(NotFound):
            await read()


async def test_models_and_workers_register_and_workers_lapse(queue: JobQueue) -> None:
    assert (list(await queue.models()), list(await queue.workers())) == ([], [])
    await queue.register_model(FAKE_CARD)
    await queue.register_model(FAKE_CARD)
    alive = WorkerStatus(worker_id="a", model="fake", engine="fake", engine_ready=True)
    await queue.heartbeat(alive, ttl_seconds=5)
    await queue.heartbeat(replace(alive, worker_id="b"), ttl_seconds=0.1)
    await queue.heartbeat(replace(alive, engine_ready=False), ttl_seconds=5)
    await asyncio.sleep(0.2)
    assert list(await queue.models()) == [FAKE_CARD]
    assert list(await queue.workers()) == [replace(alive, engine_ready=False)]


async def test_requests_survive_the_passage_unchanged(queue: JobQueue) -> None:
    request: GenerationRequest = request_of(
        seed=2**63 - 1, previews=(0, 2, 3), picture_format="webp", picture_quality=31
    )
    await queue.submit(request)
    assert (await lease_one(queue)).job.request == request
