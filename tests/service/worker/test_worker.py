"""What a worker does with jobs, over the queue in memory and the fake engine."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from PIL import Image

from service.domain import (
    BandCompleted,
    Event,
    ImageCompleted,
    JobCancelled,
    JobCompleted,
    JobFailed,
    JobState,
    is_terminal,
)
from service.engine.engine import Canvas, DrawnBand, Engine, Generation, Pixels
from service.engine.fake_engine import FakeEngine
from service.errors import EngineUnavailable, QueueUnavailable
from service.jobs.memory_queue import MemoryQueue
from service.jobs.queue import JobQueue, Lease, QueueLimits
from service.metrics import Metrics
from service.worker import persistence
from service.worker.heartbeat import Heartbeat
from service.worker.learned_pace import LearnedPace
from service.worker.worker import Worker
from tests.requests import request_of

LEASE_SECONDS = 0.6


class FlakyEngine(FakeEngine):
    """Fails the first `failures` draws after their second band; counts the bands it draws."""

    failures = 0
    preview_failures = False
    bands_drawn = 0

    def __init__(self, *, band_seconds: float = 0.0) -> None:
        super().__init__(band_seconds=band_seconds)
        self.decoded: list[int | None] = []

    async def draw(self, generation: Generation) -> AsyncGenerator[DrawnBand]:
        fails = self.failures > 0
        self.failures -= fails
        async with aclosing(super().draw(generation)) as bands:
            async for drawn in bands:
                if fails and drawn.band == 2:
                    raise EngineUnavailable("it broke")
                self.bands_drawn += 1
                yield drawn

    async def decode(self, canvas: Canvas, *, preview_of: int | None = None) -> Pixels:
        if preview_of is not None and self.preview_failures:
            raise EngineUnavailable("too busy for previews")
        self.decoded.append(preview_of)
        return await super().decode(canvas, preview_of=preview_of)


@asynccontextmanager
async def working(
    queue: JobQueue,
    engine: Engine,
    *,
    worker_id: str = "w",
    engine_name: str = "fake",
    grace_seconds: float = 5,
) -> AsyncIterator[asyncio.Event]:
    """A running worker; yields the event that stops it."""
    await engine.start()
    metrics = Metrics()
    heartbeat = Heartbeat(
        queue=queue,
        engine=engine,
        worker_id=worker_id,
        engine_name=engine_name,
        ttl_seconds=0.3,
        pace=LearnedPace(slots=4),
    )
    worker = Worker(
        worker_id=worker_id,
        queue=queue,
        engine=engine,
        heartbeat=heartbeat,
        metrics=metrics,
        max_generations=4,
        lease_seconds=LEASE_SECONDS,
        grace_seconds=grace_seconds,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(running, timeout=10)
        await engine.close()


@pytest.fixture
def queue() -> MemoryQueue:
    return MemoryQueue(QueueLimits(lease_seconds=LEASE_SECONDS))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persistence, "RETRY_PAUSES_SECONDS", (0.01, 0.01))


async def log_of(queue: JobQueue, job_id: str) -> list[Event]:
    async with asyncio.timeout(10), aclosing(queue.events(job_id)) as events:
        return [logged.event async for logged in events]


async def test_a_job_becomes_bands_previews_and_images_in_order(queue: MemoryQueue) -> None:
    job = await queue.submit(request_of(num_images=3, previews=(1, 3)))
    async with working(queue, FakeEngine()):
        log = await log_of(queue, job.id)
    for image_index in range(3):
        bands = [e for e in log if isinstance(e, BandCompleted) and e.image_index == image_index]
        assert [event.band for event in bands] == [0, 1, 2, 3, 4]
        assert [event.band for event in bands if event.preview] == [1, 3]
    images = [event for event in log if isinstance(event, ImageCompleted)]
    assert sorted(event.image_index for event in images) == [0, 1, 2]
    assert log[-1] == JobCompleted()
    for event in images:
        content = await queue.picture(job.id, event.picture.digest)
        assert hashlib.sha256(content).hexdigest() == event.picture.digest
        assert Image.open(io.BytesIO(content)).size == (64, 64)


async def test_the_same_seed_gives_the_same_bytes_and_others_do_not(queue: MemoryQueue) -> None:
    jobs = [await queue.submit(request_of(seed=seed)) for seed in (1, 1, 2)]
    async with working(queue, FakeEngine()):
        logs = [await log_of(queue, job.id) for job in jobs]
    digests = [e.picture.digest for log in logs for e in log if isinstance(e, ImageCompleted)]
    assert digests[0] == digests[1] != digests[2]


async def test_an_engine_that_fails_at_times_is_tried_again(queue: MemoryQueue) -> None:
    job = await queue.submit(request_of(num_images=2))
    engine = FlakyEngine()
    engine.failures = 2
    async with working(queue, engine):
        log = await log_of(queue, job.id)
    bands = [(e.image_index, e.band) for e in log if isinstance(e, BandCompleted)]
    assert sorted(bands) == [(image, band) for image in range(2) for band in range(5)]
    assert log[-1] == JobCompleted()


async def test_an_engine_that_always_fails_fails_the_job_by_name(queue: MemoryQueue) -> None:
    job = await queue.submit(request_of())
    engine = FlakyEngine()
    engine.failures = 100
    async with working(queue, engine):
        last = (await log_of(queue, job.id))[-1]
    assert isinstance(last, JobFailed)
    assert last.code == "engine_unavailable"


async def test_a_defect_fails_the_job_without_telling_its_inside(queue: MemoryQueue) -> None:
    job = await queue.submit(request_of(class_label=1000))
    async with working(queue, FakeEngine()):
        last = (await log_of(queue, job.id))[-1]
    assert isinstance(last, JobFailed)
    assert last.code == "internal"
    assert "1000" not in last.message


async def test_a_preview_may_be_given_up_but_not_its_band(queue: MemoryQueue) -> None:
    job = await queue.submit(request_of(previews=(0, 1, 2, 3)))
    engine = FlakyEngine()
    engine.preview_failures = True
    async with working(queue, engine):
        log = await log_of(queue, job.id)
    bands = [event for event in log if isinstance(event, BandCompleted)]
    assert [(event.band, event.preview) for event in bands] == [(k, None) for k in range(5)]
    assert log[-1] == JobCompleted()


async def test_an_image_that_stops_early_is_decoded_as_an_image(queue: MemoryQueue) -> None:
    job = await queue.submit(request_of(bands=3, previews=(0, 1)))
    engine = FlakyEngine()
    async with working(queue, engine):
        await log_of(queue, job.id)
    assert engine.decoded == [0, 1, None]


async def test_a_cancelled_job_stops_using_the_engine(queue: MemoryQueue) -> None:
    job = await queue.submit(request_of())
    engine = FlakyEngine(band_seconds=0.1)
    async with working(queue, engine):
        async with aclosing(queue.events(job.id)) as events:
            async for logged in events:
                if isinstance(logged.event, BandCompleted) and logged.event.band == 1:
                    await queue.cancel(job.id)
                last = logged.event
        drawn = engine.bands_drawn
        await asyncio.sleep(0.3)
    assert last == JobCancelled()
    assert engine.bands_drawn == drawn <= 3


async def test_a_stopping_worker_finishes_what_it_has(queue: MemoryQueue) -> None:
    job = await queue.submit(request_of())
    async with working(queue, FakeEngine(band_seconds=0.05)) as stop:
        while (await queue.job(job.id)).state is not JobState.RUNNING:
            await asyncio.sleep(0.01)
        stop.set()
    assert (await queue.job(job.id)).state is JobState.COMPLETED


async def test_what_cannot_be_finished_in_time_is_handed_to_another(queue: MemoryQueue) -> None:
    job = await queue.submit(request_of())
    slow = FakeEngine(band_seconds=0.3)
    async with working(queue, slow, worker_id="leaving", grace_seconds=0.4) as stop:
        while (await queue.job(job.id)).state is not JobState.RUNNING:
            await asyncio.sleep(0.01)
        stop.set()
    assert (await queue.job(job.id)).state is JobState.QUEUED
    async with working(queue, FakeEngine(), worker_id="next"):
        log = await log_of(queue, job.id)
    bands = [event.band for event in log if isinstance(event, BandCompleted)]
    assert bands == [0, 1, 2, 3, 4]
    assert sum(is_terminal(event) for event in log) == 1


async def test_a_long_job_keeps_its_lease(queue: MemoryQueue) -> None:
    job = await queue.submit(request_of())
    slow = FakeEngine(band_seconds=LEASE_SECONDS / 3)
    async with working(queue, slow, worker_id="a"), working(queue, slow, worker_id="b"):
        await log_of(queue, job.id)
    assert (await queue.job(job.id)).attempts == 1


async def test_a_worker_whose_engine_is_down_takes_nothing(queue: MemoryQueue) -> None:
    class DeadEngine(FakeEngine):
        async def ready(self) -> bool:
            return False

    job = await queue.submit(request_of())
    async with working(queue, DeadEngine()):
        await asyncio.sleep(0.3)
        (status,) = await queue.workers()
        assert status.engine_ready is False
    assert (await queue.job(job.id)).state is JobState.QUEUED


async def test_a_stopping_worker_signs_off_before_it_drains(queue: MemoryQueue) -> None:
    job = await queue.submit(request_of())
    async with working(queue, FakeEngine(band_seconds=0.2)) as stop:
        while (await queue.job(job.id)).state is not JobState.RUNNING:
            await asyncio.sleep(0.01)
        stop.set()
        await asyncio.sleep(0.1)
        assert list(await queue.workers()) == []
        assert (await queue.job(job.id)).state is JobState.RUNNING
    assert (await queue.job(job.id)).state is JobState.COMPLETED


async def test_an_engine_that_answers_slowly_does_not_silence_its_worker(
    queue: MemoryQueue,
) -> None:
    class SlowEngine(FakeEngine):
        checks = 0

        async def ready(self) -> bool:
            self.checks += 1
            if self.checks > 1:
                await asyncio.sleep(60)
            return True

    async with working(queue, SlowEngine()):
        await asyncio.sleep(0.1)
        for _ in range(20):  # two lives of a heartbeat
            assert len(await queue.workers()) == 1
            await asyncio.sleep(0.03)


async def test_a_worker_takes_no_more_images_than_it_has_room_for(queue: MemoryQueue) -> None:
    jobs = [await queue.submit(request_of(num_images=2, seed=seed)) for seed in range(4)]
    async with working(queue, FakeEngine(band_seconds=0.1)):
        await asyncio.sleep(0.25)
        states = [(await queue.job(job.id)).state for job in jobs]
        assert states == [JobState.RUNNING] * 2 + [JobState.QUEUED] * 2
        for job in jobs:
            assert (await log_of(queue, job.id))[-1] == JobCompleted()


async def test_a_worker_outlives_a_queue_that_is_away_for_a_while() -> None:
    class AwayQueue(MemoryQueue):
        away = False

        async def lease(self, *arguments: Any, **options: Any) -> Sequence[Lease]:
            self._answer()
            return await super().lease(*arguments, **options)

        async def publish(self, *arguments: Any, **options: Any) -> bool:
            self._answer()
            return await super().publish(*arguments, **options)

        async def heartbeat(self, *arguments: Any, **options: Any) -> None:
            self._answer()
            await super().heartbeat(*arguments, **options)

        def _answer(self) -> None:
            if self.away:
                raise QueueUnavailable("it is away")

    queue = AwayQueue(QueueLimits(lease_seconds=5))
    async with working(queue, FakeEngine(band_seconds=0.05)):
        first = await queue.submit(request_of())
        while (await queue.job(first.id)).state is not JobState.RUNNING:
            await asyncio.sleep(0.01)
        queue.away = True
        await asyncio.sleep(0.7)
        second = await queue.submit(request_of())
        queue.away = False
        for job in (first, second):
            log = await log_of(queue, job.id)
            assert [e.band for e in log if isinstance(e, BandCompleted)] == [0, 1, 2, 3, 4]
            assert log[-1] == JobCompleted()


async def test_a_worker_does_not_go_on_with_what_another_engine_began(queue: MemoryQueue) -> None:
    job = await queue.submit(request_of())
    slow = FakeEngine(band_seconds=0.4)  # longer than a worker waits for a lease
    async with working(queue, slow, engine_name="triton", grace_seconds=0) as stop:
        while len(await queue.history(job.id)) < 3:  # queued, started, a band
            await asyncio.sleep(0.01)
        stop.set()
        while (await queue.job(job.id)).state is JobState.RUNNING:
            await asyncio.sleep(0.01)
    async with working(queue, FakeEngine(), engine_name="torch"):
        other = await queue.submit(request_of())
        assert (await log_of(queue, other.id))[-1] == JobCompleted()
        assert (await queue.job(job.id)).state is JobState.QUEUED
    async with working(queue, FakeEngine(), engine_name="triton"):
        assert (await log_of(queue, job.id))[-1] == JobCompleted()
