"""The laws of `JobQueue`, held by the queue in Redis and by its twin in memory alike."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from service.domain import (
    BandCompleted,
    Event,
    GenerationRequest,
    ImageCompleted,
    JobCompleted,
    JobQueued,
    JobStarted,
    JobState,
)
from service.engine.fake_engine import FAKE_CARD
from service.errors import InvalidRequest, NotFound, QueueFull
from service.jobs.queue import MAX_POSITION, JobQueue, QueueLimits, WorkerStatus
from service.jobs.redis_connection import connect
from service.stack.redis_server import RedisServer
from tests.queue_calls import NewQueue, band, lease_one, log_of, picture_of
from tests.requests import request_of


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


async def test_a_watcher_that_is_slow_sees_the_end_too(queue: JobQueue) -> None:
    job = await queue.submit(request_of())
    lease = await lease_one(queue)
    async with asyncio.timeout(5), aclosing(queue.events(job.id)) as events:
        seen = [await anext(events)]
        # What has been read by now may be all that there was.
        await queue.publish(lease, band(0), pictures={})
        await queue.finish(lease, JobCompleted())
        seen += [logged async for logged in events]
    assert seen == await log_of(queue, job.id)


async def test_a_watcher_that_has_seen_the_end_is_not_kept_waiting(queue: JobQueue) -> None:
    job = await queue.submit(request_of())
    await queue.cancel(job.id)
    last = (await log_of(queue, job.id))[-1]
    assert await log_of(queue, job.id, after=last.id) == []


async def test_the_history_is_the_log_by_now(queue: JobQueue) -> None:
    job = await queue.submit(request_of())
    assert [logged.event for logged in await queue.history(job.id)] == [JobQueued()]
    lease = await lease_one(queue)
    await queue.publish(lease, band(0), pictures={})
    assert len(await queue.history(job.id)) == 3
    await queue.finish(lease, JobCompleted())
    assert list(await queue.history(job.id)) == await log_of(queue, job.id)


async def test_a_waiting_job_knows_how_many_of_its_model_are_ahead(queue: JobQueue) -> None:
    first, second = [(await queue.submit(request_of())).id for _ in range(2)]
    other = (await queue.submit(request_of(model="other"))).id
    third = (await queue.submit(request_of())).id
    everyone = (first, second, other, third)

    async def positions() -> list[int | None]:
        return [await queue.position(job_id) for job_id in everyone]

    assert await positions() == [0, 1, 0, 2]
    leases = await queue.lease("w", model="fake", count=2, wait_seconds=0)
    assert await positions() == [None, None, 0, 0]
    for lease in leases:
        await queue.hand_back(lease)
    assert await positions() == [0, 1, 0, 2]
    await queue.cancel(second)
    assert await positions() == [0, None, 0, 1]
    await queue.finish(await lease_one(queue), JobCompleted())
    assert await positions() == [None, None, 0, 0]


async def test_a_new_job_tells_where_it_stands(queue: JobQueue) -> None:
    async def standing() -> tuple[int, int] | None:
        made = await queue.submit_once(request_of(), None)
        assert made.standing is not None
        assert made.standing.position == await queue.position(made.job.id)
        assert made.standing.running == (await queue.backlog("fake")).running
        assert made.job == await queue.job(made.job.id)
        return made.standing.position, made.standing.running

    await queue.submit(request_of(model="other"))
    assert [await standing() for _ in range(2)] == [(0, 0), (1, 0)]
    leases = await queue.lease("w", model="fake", count=2, wait_seconds=0)
    assert await standing() == (0, 2)
    await queue.hand_back(leases[0])
    assert await standing() == (2, 1)


async def test_positions_are_counted_up_to_a_bound(new_queue: NewQueue) -> None:
    queue = new_queue(QueueLimits())
    jobs = [await queue.submit(request_of()) for _ in range(MAX_POSITION + 3)]
    counted = [await queue.position(job.id) for job in jobs[-4:]]
    assert counted == [MAX_POSITION - 1, MAX_POSITION, MAX_POSITION, MAX_POSITION]


@pytest.mark.parametrize("after", ["", "x", "-1", "1-", "1-x", "1-2-3", "\u0661", str(2**64)])
async def test_an_id_that_is_none_is_refused_by_name(queue: JobQueue, after: str) -> None:
    job = await queue.submit(request_of())
    with pytest.raises(InvalidRequest) as refused:
        await log_of(queue, job.id, after=after)
    assert refused.value.field == "after"


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
        await queue.history(job.id)
    with pytest.raises(NotFound):
        await log_of(queue, job.id)


async def test_nothing_of_a_job_that_runs_is_forgotten(new_queue: NewQueue) -> None:
    queue = new_queue(QueueLimits(retention_seconds=0.2))
    job = await queue.submit(request_of())
    lease = await lease_one(queue)
    await queue.publish(lease, band(0), pictures={"aa": b"low"})
    await asyncio.sleep(0.4)
    assert await queue.picture(job.id, "aa") == b"low"
    await queue.finish(lease, JobCompleted())
    assert len(await log_of(queue, job.id)) == 4


async def test_an_upload_comes_with_its_job_and_goes_at_its_end(queue: JobQueue) -> None:
    job = await queue.submit(request_of(keep_bands=2), upload=b"\x00pixels\xff")
    plain = await queue.submit(request_of())
    lease = await lease_one(queue)
    await queue.hand_back(lease)
    # Whoever takes it over finds it still.
    lease = await lease_one(queue, "other")
    assert lease.job.request.keep_bands == 2
    assert await queue.upload(job.id) == b"\x00pixels\xff"
    await queue.finish(lease, JobCompleted())
    for job_id in (job.id, plain.id, "none"):
        with pytest.raises(NotFound):
            await queue.upload(job_id)


async def test_a_cancelled_job_keeps_no_upload(queue: JobQueue) -> None:
    job = await queue.submit(request_of(keep_bands=2), upload=b"pixels")
    await queue.cancel(job.id)
    with pytest.raises(NotFound):
        await queue.upload(job.id)


async def test_an_upload_expires_though_its_job_waits(new_queue: NewQueue) -> None:
    queue = new_queue(QueueLimits(upload_seconds=0.2))
    job = await queue.submit(request_of(keep_bands=2), upload=b"pixels")
    assert await queue.upload(job.id) == b"pixels"
    await asyncio.sleep(0.4)
    with pytest.raises(NotFound):
        await queue.upload(job.id)
    assert (await queue.job(job.id)).state is JobState.QUEUED


async def test_an_upload_whose_job_is_refused_is_not_kept(
    new_queue: NewQueue, redis_server: RedisServer
) -> None:
    queue = new_queue(QueueLimits(max_depth=1))
    await queue.submit(request_of())
    redis: Any = connect(redis_server.url)
    # Other tests have uploads of their own there.
    before = {key async for key in redis.scan_iter(match="*:upload")}
    with pytest.raises(QueueFull):
        await queue.submit(request_of(keep_bands=2), upload=b"pixels")
    after = {key async for key in redis.scan_iter(match="*:upload")}
    await redis.aclose()
    assert after <= before


async def test_unknown_names_are_not_found(queue: JobQueue) -> None:
    job = await queue.submit(request_of())
    reads: list[Callable[[], Awaitable[object]]] = [
        lambda: queue.job("none"),
        lambda: log_of(queue, "none"),
        lambda: queue.history("none"),
        lambda: queue.position("none"),
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
    await queue.sign_off("a")
    await queue.sign_off("never came")
    assert list(await queue.workers()) == []


async def test_requests_survive_the_passage_unchanged(queue: JobQueue) -> None:
    request: GenerationRequest = request_of(
        seed=2**63 - 1, previews=(0, 2, 3), picture_format="webp", picture_quality=31
    )
    await queue.submit(request)
    assert (await lease_one(queue)).job.request == request
