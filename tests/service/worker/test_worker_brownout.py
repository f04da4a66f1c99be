"""What a worker makes of jobs while it sheds bands: images of fewer bands, marked so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from service.domain import BandCompleted, Event, ImageCompleted, JobCompleted, JobState
from service.engine.fake_engine import FAKE_CARD, FakeEngine
from service.errors import QueueUnavailable
from service.jobs.memory_queue import MemoryQueue
from service.jobs.queue import QueueLimits
from service.metrics import Metrics
from service.worker import worker
from service.worker.brownout import FALL_TARGETS, RISE_TARGETS, Brownout
from service.worker.heartbeat import Heartbeat
from service.worker.learned_pace import LearnedPace
from service.worker.worker import Worker
from tests.queue_calls import log_of
from tests.requests import request_of

TARGET = 0.5


class Bench:
    """A worker over a queue whose clock, and the worker's, the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.queue = MemoryQueue(QueueLimits(lease_seconds=1e9), clock=lambda: self.now)
        self.metrics = Metrics()

    def brownout(self, *, level: int = 0, min_bands: int = 2) -> Brownout:
        made = Brownout(
            num_bands=FAKE_CARD.num_bands,
            min_bands=min_bands,
            target_seconds=TARGET,
            clock=lambda: self.now,
        )
        made.level = level
        return made

    async def image(self, brownout: Brownout | None, /, **request: object) -> ImageCompleted:
        log = await self.log(brownout, **request)
        assert log[-1] == JobCompleted()
        (image,) = [event for event in log if isinstance(event, ImageCompleted)]
        return image

    async def log(self, brownout: Brownout | None, /, **request: object) -> list[Event]:
        job = await self.queue.submit(request_of(**request))
        async with self.working(brownout):
            return [logged.event for logged in await log_of(self.queue, job.id)]

    def sample(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, {"model": "fake", **labels})

    @asynccontextmanager
    async def working(
        self, brownout: Brownout | None, *, engine: FakeEngine | None = None, slots: int = 4
    ) -> AsyncIterator[Heartbeat]:
        engine = engine or FakeEngine()
        await engine.start()
        heartbeat = Heartbeat(
            queue=self.queue,
            engine=engine,
            worker_id="w",
            engine_name="fake",
            ttl_seconds=1.0,
            pace=LearnedPace(slots=4),
            brownout=brownout,
        )
        made = Worker(
            worker_id="w",
            queue=self.queue,
            engine=engine,
            heartbeat=heartbeat,
            metrics=self.metrics,
            max_generations=slots,
            lease_seconds=1e9,
            grace_seconds=0.0,
        )
        stop = asyncio.Event()
        running = asyncio.create_task(made.run(stop))
        yield heartbeat
        stop.set()
        await running


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(worker, "LEASE_WAIT_SECONDS", 0.01)
    return Bench()


@pytest.mark.parametrize("level", [1, 2, 3])
async def test_a_browned_out_image_is_that_of_as_many_bands_and_says_so(
    bench: Bench, level: int
) -> None:
    bands = FAKE_CARD.num_bands - level
    image = await bench.image(bench.brownout(level=level))
    assert (image.bands_completed, image.shed) == (bands, True)
    assert bench.sample("nfig_bands_saved_total", reason="brownout") == level
    assert bench.sample("nfig_jobs_browned_out_total") == 1
    assert bench.sample("nfig_brownout_level") == level
    plain = await bench.image(None, bands=bands)
    assert (plain.picture, plain.shed) == (image.picture, False)
    assert bench.sample("nfig_bands_saved_total", reason="brownout") == level


@pytest.mark.parametrize("request_fields", [{"brownout": "never"}, {"bands": 2}, {"bands": 1}])
async def test_who_does_not_consent_or_asks_for_no_more_gets_everything(
    bench: Bench, request_fields: dict[str, object]
) -> None:
    image = await bench.image(bench.brownout(level=3), **request_fields)
    assert image.bands_completed == request_fields.get("bands", 5)
    assert not image.shed
    assert bench.sample("nfig_jobs_browned_out_total") == 0


async def test_without_a_preview_of_the_band_that_became_the_last(bench: Bench) -> None:
    log = await bench.log(bench.brownout(level=2), previews=(0, 1, 2, 3))
    shown = [event.band for event in log if isinstance(event, BandCompleted) and event.preview]
    assert shown == [0, 1]


async def test_jobs_that_waited_too_long_make_the_worker_shed_and_calm_makes_it_recover(
    bench: Bench,
) -> None:
    brownout = bench.brownout()
    jobs = [await bench.queue.submit(request_of()) for _ in range(20)]
    bench.now += 10 * TARGET

    class SlowEngine(FakeEngine):
        """Each image takes as long as makes a difference, on the test's clock."""

        async def ready(self) -> bool:
            return True

        async def decode(self, *arguments: object, **options: object) -> object:  # type: ignore[override]
            bench.now += RISE_TARGETS * TARGET
            return await super().decode(*arguments, **options)  # type: ignore[arg-type]

    async with bench.working(brownout, engine=SlowEngine(), slots=1):
        for job in jobs:
            await log_of(bench.queue, job.id)
        assert brownout.level == 3
        async with asyncio.timeout(10):
            while brownout.level:
                bench.now += FALL_TARGETS * TARGET
                await asyncio.sleep(0.02)
    bands = []
    for job in jobs:
        log = [logged.event for logged in await log_of(bench.queue, job.id)]
        bands += [event.bands_completed for event in log if isinstance(event, ImageCompleted)]
    quarters = [sum(bands[start : start + 5]) for start in range(0, 20, 5)]
    assert quarters == sorted(quarters, reverse=True)
    assert (bands[0], bands[-1]) == (5, 2)


async def test_a_takeover_draws_as_many_bands_as_the_first_lease_said(bench: Bench) -> None:
    job = await bench.queue.submit(request_of())
    (lease,) = await bench.queue.lease("dies", model="fake", count=1, wait_seconds=0, max_bands=3)
    await bench.queue.hand_back(lease)
    async with bench.working(bench.brownout(level=0)):
        log = [logged.event for logged in await log_of(bench.queue, job.id)]
    (image,) = [event for event in log if isinstance(event, ImageCompleted)]
    assert (image.bands_completed, image.shed) == (3, True)
    assert (await bench.queue.job(job.id)).state is JobState.COMPLETED


async def test_the_heartbeat_tells_how_bands_are_shed(bench: Bench) -> None:
    brownout = bench.brownout(level=1)
    async with bench.working(brownout):
        async with asyncio.timeout(5):
            while not (statuses := await bench.queue.workers()):
                await asyncio.sleep(0.01)
    assert statuses[0].shedding == brownout.status()
    assert statuses[0].shedding.fewest_now == 4


async def test_a_queue_that_does_not_answer_is_not_taken_for_an_empty_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    async def down(*arguments: object, **options: object) -> object:
        nonlocal tries
        tries += 1
        bench.now += 2 * FALL_TARGETS * TARGET
        raise QueueUnavailable("away")

    monkeypatch.setattr(worker, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(bench.queue, "lease", down)
    brownout = bench.brownout(level=3)
    async with bench.working(brownout), asyncio.timeout(5):
        while tries < 10:
            await asyncio.sleep(0.01)
    assert brownout.level == 3
