"""What a worker makes of a job that must be ready in time: an image of the bands that came."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

import pytest

from service.domain import BandCompleted, Event, ImageCompleted, JobCompleted, JobFailed
from service.engine.engine import Canvas, DrawnBand, Generation, Pixels
from service.engine.fake_engine import FakeEngine
from service.errors import EngineUnavailable
from service.jobs.memory_queue import MemoryQueue
from service.jobs.queue import JobQueue, QueueLimits
from service.jobs.redis_connection import connect
from service.jobs.redis_queue import RedisQueue
from service.metrics import Metrics
from service.stack.redis_server import RedisServer
from service.worker import persistence
from service.worker.heartbeat import Heartbeat
from service.worker.learned_pace import FEWEST_SAMPLES, LearnedPace
from service.worker.worker import Worker
from tests.queue_calls import log_of
from tests.requests import request_of

SHORT_MS = 1_500
"""Enough for every band that does not hang, however busy the machine."""
LONG_MS = 600_000
"""More than any test waits."""


class HangingEngine(FakeEngine):
    """Band `hangs_at` never comes, unless the draw breaks before; counts bands and previews."""

    hangs_at = 99
    breaks_once_at: int | None = None
    """Before anything hangs."""
    always_breaks = False
    bands_drawn = 0
    previews = 0

    async def draw(self, generation: Generation) -> AsyncGenerator[DrawnBand]:
        breaks_at, self.breaks_once_at = self.breaks_once_at, None
        async with aclosing(super().draw(generation)) as bands:
            async for drawn in bands:
                if self.always_breaks or drawn.band == breaks_at:
                    raise EngineUnavailable("it broke")
                if breaks_at is None and drawn.band == self.hangs_at:
                    await asyncio.Event().wait()
                self.bands_drawn += 1
                yield drawn

    async def decode(self, canvas: Canvas, *, preview_of: int | None = None) -> Pixels:
        self.previews += preview_of is not None
        return await super().decode(canvas, preview_of=preview_of)


class Bench:
    """A worker with a pace and an engine that tests prepare."""

    def __init__(self, queue: JobQueue | None = None) -> None:
        self.queue = queue or MemoryQueue()
        self.engine = HangingEngine()
        self.pace = LearnedPace(slots=4)
        self.metrics = Metrics()

    def teach(self, *, band: int | None = None, seconds: float) -> None:
        """A step's usual time; without a band, that of the picture."""
        times = self.pace.picture if band is None else self.pace.band(band)
        for _ in range(FEWEST_SAMPLES):
            times.add(seconds)

    async def log(self, **request: object) -> list[Event]:
        job = await self.queue.submit(request_of(**request))
        async with self._working():
            return [logged.event for logged in await log_of(self.queue, job.id)]

    async def image(self, **request: object) -> ImageCompleted:
        """The only image of a job that completes."""
        log = await self.log(**request)
        assert log[-1] == JobCompleted()
        (image,) = [event for event in log if isinstance(event, ImageCompleted)]
        return image

    def bands_saved(self) -> float | None:
        labels = {"model": "fake", "reason": "deadline"}
        return self.metrics.registry.get_sample_value("nfig_bands_saved_total", labels)

    @asynccontextmanager
    async def _working(self) -> AsyncIterator[None]:
        await self.engine.start()
        heartbeat = Heartbeat(
            queue=self.queue,
            engine=self.engine,
            worker_id="w",
            engine_name="fake",
            ttl_seconds=1.0,
            pace=self.pace,
        )
        worker = Worker(
            worker_id="w",
            queue=self.queue,
            engine=self.engine,
            heartbeat=heartbeat,
            metrics=self.metrics,
            max_generations=4,
            lease_seconds=5.0,
            grace_seconds=0.0,
        )
        stop = asyncio.Event()
        running = asyncio.create_task(worker.run(stop))
        yield
        stop.set()
        await running


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(persistence, "RETRY_PAUSES_SECONDS", (0.01, 0.01))
    return Bench()


@pytest.fixture
def another_bench() -> Callable[[], Bench]:
    return Bench


async def test_without_hurry_a_deadline_changes_nothing(
    bench: Bench, another_bench: Callable[[], Bench]
) -> None:
    image = await bench.image(deadline_ms=LONG_MS)
    assert image == await another_bench().image()
    assert (image.bands_completed, bench.bands_saved()) == (5, 0)


@pytest.mark.parametrize("bands", [1, 3, 4])
async def test_when_time_is_up_the_image_is_that_of_as_many_bands(
    bench: Bench, another_bench: Callable[[], Bench], bands: int
) -> None:
    bench.engine.hangs_at = bands
    image = await bench.image(deadline_ms=SHORT_MS)
    assert image.bands_completed == bands
    assert image == await another_bench().image(bands=bands)
    assert bench.bands_saved() == 5 - bands


async def test_the_time_is_measured_by_the_clock_of_redis(
    redis_server: RedisServer, another_bench: Callable[[], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on a machine whose clock is a day ahead.
    monkeypatch.setattr(time, "time", lambda real=time.time: real() + 86_400)
    queue = RedisQueue(connect(redis_server.url), name=uuid.uuid4().hex, limits=QueueLimits())
    bench = Bench(queue)
    bench.engine.hangs_at = 2
    image = await bench.image(deadline_ms=SHORT_MS)
    await queue.close()
    assert image == await another_bench().image(bands=2)


async def test_a_band_that_is_known_to_come_too_late_is_not_begun(bench: Bench) -> None:
    bench.teach(band=2, seconds=LONG_MS)
    log = await bench.log(deadline_ms=LONG_MS)
    assert [event.band for event in log if isinstance(event, BandCompleted)] == [0, 1]
    assert log[-1] == JobCompleted()
    assert bench.engine.bands_drawn == 2


async def test_who_is_in_no_hurry_gets_a_slow_band_too(bench: Bench) -> None:
    bench.teach(band=2, seconds=LONG_MS)
    assert (await bench.image()).bands_completed == 5


async def test_a_job_without_any_band_in_time_fails_by_name(bench: Bench) -> None:
    bench.engine.hangs_at = 0
    log = await bench.log(deadline_ms=300, num_images=2)
    assert isinstance(log[-1], JobFailed)
    assert log[-1].code == "deadline_too_short"


async def test_a_first_band_that_cannot_fit_is_not_tried(bench: Bench) -> None:
    bench.teach(band=0, seconds=LONG_MS)
    last = (await bench.log(deadline_ms=LONG_MS))[-1]
    assert isinstance(last, JobFailed)
    assert (last.code, bench.engine.bands_drawn) == ("deadline_too_short", 0)


async def test_images_of_a_job_come_as_far_as_each_of_them_can(bench: Bench) -> None:
    bench.engine.hangs_at = 2
    log = await bench.log(deadline_ms=SHORT_MS, num_images=6)
    images = [event for event in log if isinstance(event, ImageCompleted)]
    # Four are drawn at once; the others find no room before the time is up, and so no band.
    assert [image.bands_completed for image in images] in ([], [2] * len(images))
    assert isinstance(log[-1], JobFailed)


async def test_what_a_try_that_broke_has_drawn_is_not_lost(
    bench: Bench, another_bench: Callable[[], Bench]
) -> None:
    bench.engine.breaks_once_at, bench.engine.hangs_at = 3, 1
    image = await bench.image(deadline_ms=SHORT_MS)
    assert image == await another_bench().image(bands=3)


async def test_an_engine_that_fails_is_no_deadline(bench: Bench) -> None:
    bench.engine.always_breaks = True
    last = (await bench.log(deadline_ms=LONG_MS))[-1]
    assert isinstance(last, JobFailed)
    assert last.code == "engine_unavailable"


async def test_a_job_that_waits_for_a_busy_worker_fails_when_its_time_is_up(bench: Bench) -> None:
    bench.engine.hangs_at = 1
    await bench.queue.submit(request_of(num_images=4))
    # The beat is quick, and the worker stays full until it is stopped.
    last = (await bench.log(start_within_ms=300))[-1]
    assert isinstance(last, JobFailed)
    assert last.code == "deadline_exceeded"


async def test_previews_give_way_to_the_image(bench: Bench) -> None:
    bench.teach(seconds=0.7 * LONG_MS / 1000)
    log = await bench.log(deadline_ms=LONG_MS, previews=(0, 1, 2, 3))
    bands = [event for event in log if isinstance(event, BandCompleted)]
    assert [event.preview for event in bands] == [None] * 5
    assert bench.engine.previews == 0
    (image,) = [event for event in log if isinstance(event, ImageCompleted)]
    assert image.bands_completed == 5


async def test_a_worker_learns_from_what_it_draws_and_tells_it(bench: Bench) -> None:
    bench.engine.band_seconds = 0.01
    for seed in range(FEWEST_SAMPLES):
        await bench.image(seed=seed)
    pace = bench.pace.snapshot()
    assert len(pace.bands) == 5
    assert all(step is not None and step.median > 0.005 for step in pace.bands)
    assert pace.job is not None
    assert pace.job.median >= 5 * 0.01
    assert pace.image_seconds(range(5)) is not None


async def test_a_band_that_did_not_come_counts_as_slow(bench: Bench) -> None:
    bench.engine.hangs_at = 1
    for seed in range(FEWEST_SAMPLES):
        await bench.image(seed=seed, deadline_ms=400)
    wait = bench.pace.band(1).quantile(0.5)
    assert wait is not None
    assert wait > 0.05
