"""A worker that varies an uploaded image, over the queue in memory and the fake engine."""

from __future__ import annotations

import asyncio
import hashlib
from functools import partial

import numpy as np
import pytest

from service.domain import BandCompleted, JobCompleted, JobFailed, JobState
from service.engine.engine import BandTokens, Pixels
from service.engine.fake_engine import FakeEngine
from service.errors import EngineUnavailable, NotFound
from service.jobs.memory_queue import MemoryQueue
from service.jobs.queue import QueueLimits
from service.worker import persistence
from tests import in_process_worker
from tests.queue_calls import log_of
from tests.requests import request_of

PIXELS = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
UPLOAD = PIXELS.tobytes()


working = partial(in_process_worker.working, max_generations=3, ttl_seconds=0.3)


def bands_of(events: list[object]) -> list[tuple[int, int, str, bool]]:
    """Image, band, token digest and whether it was kept, in order."""
    bands = (event for event in events if isinstance(event, BandCompleted))
    return sorted((b.image_index, b.band, b.token_digest, b.kept) for b in bands)


async def events(queue: MemoryQueue, job_id: str) -> list[object]:
    return [logged.event for logged in await log_of(queue, job_id)]


def digest(tokens: tuple[int, ...]) -> str:
    return hashlib.sha256(np.array(tokens, "<i4").tobytes()).hexdigest()


async def test_every_image_keeps_the_bands_of_the_upload_and_says_so() -> None:
    queue, engine = MemoryQueue(), FakeEngine()
    job = await queue.submit(request_of(keep_bands=3, num_images=2), upload=UPLOAD)
    async with working(queue, engine):
        log = await events(queue, job.id)
        encoded = await engine.encode(PIXELS)
    assert log[-1] == JobCompleted()
    bands = bands_of(log)
    assert [kept for *_, kept in bands] == [True, True, True, False, False] * 2
    assert [b[2] for b in bands[:3]] == [digest(tokens) for tokens in encoded[:3]]
    with pytest.raises(NotFound):
        await queue.upload(job.id)


async def test_a_takeover_draws_the_same_tokens() -> None:
    queue = MemoryQueue()
    request = request_of(keep_bands=2)
    undisturbed = await queue.submit(request, upload=UPLOAD)
    async with working(queue, FakeEngine()):
        whole = bands_of(await events(queue, undisturbed.id))
    job = await queue.submit(request, upload=UPLOAD)
    async with working(queue, FakeEngine(band_seconds=0.5), grace_seconds=0) as stop:
        while not bands_of([logged.event for logged in await queue.history(job.id)]):
            await asyncio.sleep(0.01)
        stop.set()
    assert (await queue.job(job.id)).state is JobState.QUEUED
    async with working(queue, FakeEngine()):
        assert bands_of(await events(queue, job.id)) == whole


async def test_an_upload_that_has_expired_ends_its_job_by_name() -> None:
    queue = MemoryQueue(QueueLimits(upload_seconds=0))
    job = await queue.submit(request_of(keep_bands=2), upload=UPLOAD)
    async with working(queue, FakeEngine()):
        last = (await events(queue, job.id))[-1]
    assert isinstance(last, JobFailed)
    assert last.code == "deadline_exceeded"


async def test_an_encoder_that_hangs_does_not_outlast_a_deadline() -> None:
    class Hanging(FakeEngine):
        async def encode(self, pixels: Pixels) -> BandTokens:
            await asyncio.Event().wait()
            raise AssertionError

    queue = MemoryQueue()
    job = await queue.submit(request_of(keep_bands=2, deadline_ms=600), upload=UPLOAD)
    async with working(queue, Hanging()):
        last = (await events(queue, job.id))[-1]
    assert isinstance(last, JobFailed)
    assert last.code == "deadline_too_short"


async def test_an_encoder_that_fails_for_a_moment_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Flaky(FakeEngine):
        failures = 2

        async def encode(self, pixels: Pixels) -> BandTokens:
            self.failures -= 1
            if self.failures >= 0:
                raise EngineUnavailable("away")
            return await super().encode(pixels)

    monkeypatch.setattr(persistence, "RETRY_PAUSES_SECONDS", (0.01, 0.01))
    queue = MemoryQueue()
    job = await queue.submit(request_of(keep_bands=2), upload=UPLOAD)
    async with working(queue, Flaky()):
        assert (await events(queue, job.id))[-1] == JobCompleted()
