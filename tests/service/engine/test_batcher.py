"""Who shares a batch, who goes first, and what happens when the model or a caller fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing

import numpy as np
import pytest

from service.domain import Sampling
from service.engine.batcher import Batcher, BatchStep
from service.engine.engine import Canvas, DrawnBand, Generation, Pixels
from service.errors import EngineUnavailable

BANDS = 4
SAMPLING = Sampling(guidance_scale=1.0, top_k=0, top_p=1.0, temperature=1.0)


class ScriptedModel:
    """Notes what it is asked for; each band waits for a permit if `gated`."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.bands_drawn = 0
        self.alive_at_band: list[list[bool]] = []
        self.decoded: list[list[float]] = []
        self.permits = threading.Semaphore(10_000)
        self.failure: Exception | None = None

    def hold(self) -> None:
        self.permits = threading.Semaphore(0)

    def draw(
        self, generations: Sequence[Generation], is_alive: Callable[[int], bool]
    ) -> Iterator[BatchStep]:
        self.batches.append(len(generations))
        for band in range(BANDS):
            self.permits.acquire()
            if self.failure is not None:
                raise self.failure
            alive = [is_alive(row) for row in range(len(generations))]
            self.alive_at_band.append(alive)
            if not any(alive):
                return
            self.bands_drawn += 1
            yield [a_band(band, row) if alive[row] else None for row in range(len(generations))]

    def decode(
        self, canvases: Sequence[Canvas], previews_of: Sequence[int | None]
    ) -> Sequence[Pixels]:
        assert len(previews_of) == len(canvases)
        if self.failure is not None:
            raise self.failure
        self.decoded.append([float(canvas.flat[0]) for canvas in canvases])
        return [np.zeros((2, 2, 3), np.uint8) for _ in canvases]


def a_band(band: int, row: int) -> DrawnBand:
    tokens = np.array([row], np.int32)
    return DrawnBand(band=band, tokens=tokens, canvas=a_canvas(0.0), seconds=0.0, batch_size=1)


def a_canvas(value: float) -> Canvas:
    return np.full((1, 1, 1), value, np.float32)


def a_generation(seed: int = 0) -> Generation:
    return Generation(class_label=0, seed=seed, image_index=0, sampling=SAMPLING, bands=BANDS)


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel()


@pytest.fixture
async def batcher(model: ScriptedModel) -> AsyncIterator[Batcher]:
    batcher = Batcher(model, max_batch=4, window_seconds=0.05)
    yield batcher
    model.permits.release(1000)
    batcher.close()


async def drawn(batcher: Batcher) -> list[int]:
    async with aclosing(batcher.draw(a_generation())) as bands:
        return [band.band async for band in bands]


async def test_draws_of_one_window_share_a_batch_no_larger_than_allowed(
    batcher: Batcher, model: ScriptedModel
) -> None:
    results = await asyncio.gather(*(drawn(batcher) for _ in range(6)))
    assert results == [list(range(BANDS))] * 6
    assert model.batches == [4, 2]


async def test_idle_lanes_share_what_waits_and_each_begins_by_itself(
    model: ScriptedModel,
) -> None:
    begun: list[str] = []
    batcher = Batcher(
        model,
        max_batch=4,
        window_seconds=0.05,
        lanes=2,
        initializer=lambda: begun.append(threading.current_thread().name),
    )
    model.hold()
    try:
        results = asyncio.gather(*(drawn(batcher) for _ in range(6)))
        await asyncio.sleep(0.2)
        assert model.batches == [3, 3]
        model.permits.release(2 * BANDS)
        assert await results == [list(range(BANDS))] * 6
    finally:
        model.permits.release(1000)
        batcher.close()
    assert sorted(begun) == ["nfig-lane-0", "nfig-lane-1"]


async def test_a_lane_goes_on_while_the_other_is_held(model: ScriptedModel) -> None:
    batcher = Batcher(model, max_batch=4, window_seconds=0.05, lanes=2)
    model.hold()
    try:
        held = asyncio.create_task(drawn(batcher))
        await asyncio.sleep(0.2)
        await batcher.decode(a_canvas(7), preview_of=None)
        assert model.decoded == [[7]]
        beside = asyncio.create_task(drawn(batcher))
        await asyncio.sleep(0.2)
        assert model.batches == [1, 1]
        model.permits.release(2 * BANDS)
        assert await held == await beside == list(range(BANDS))
    finally:
        model.permits.release(1000)
        batcher.close()


async def test_a_row_that_is_left_is_dead_at_the_next_band_and_the_others_go_on(
    batcher: Batcher, model: ScriptedModel
) -> None:
    model.hold()
    stays = asyncio.create_task(drawn(batcher))
    await asyncio.sleep(0)
    async with aclosing(batcher.draw(a_generation())) as bands:
        model.permits.release(1)
        assert (await anext(bands)).band == 0
    model.permits.release(BANDS - 1)
    assert await stays == list(range(BANDS))
    assert model.alive_at_band == [[True, True], *[[True, False]] * (BANDS - 1)]


async def test_a_batch_that_everybody_left_ends_at_the_next_band(
    batcher: Batcher, model: ScriptedModel
) -> None:
    model.hold()
    async with aclosing(batcher.draw(a_generation())) as bands:
        model.permits.release(1)
        await anext(bands)
    model.permits.release(BANDS)
    await batcher.decode(a_canvas(0), preview_of=None)
    assert model.bands_drawn == 1


async def test_a_draw_that_is_left_while_it_waits_is_never_begun(
    batcher: Batcher, model: ScriptedModel
) -> None:
    model.hold()
    running = asyncio.create_task(drawn(batcher))
    await asyncio.sleep(0.2)
    waiting = asyncio.create_task(drawn(batcher))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    model.permits.release(BANDS)
    await running
    await batcher.decode(a_canvas(0), preview_of=None)
    assert model.batches == [1]


async def test_final_images_are_decoded_before_previews_and_between_bands(
    batcher: Batcher, model: ScriptedModel
) -> None:
    model.hold()
    running = asyncio.create_task(drawn(batcher))
    await asyncio.sleep(0.2)
    decodes = asyncio.gather(
        *(batcher.decode(a_canvas(value), preview_of=0) for value in (1, 2, 3)),
        *(batcher.decode(a_canvas(value), preview_of=None) for value in (4, 5)),
    )
    await asyncio.sleep(0)
    model.permits.release(1)
    await decodes
    assert not running.done()
    assert model.decoded == [[4, 5, 1, 2], [3]]
    model.permits.release(BANDS)
    await running


async def test_a_failing_model_fails_its_callers_and_then_recovers(
    batcher: Batcher, model: ScriptedModel
) -> None:
    model.failure = RuntimeError("out of memory")
    for call in (drawn(batcher), batcher.decode(a_canvas(0), preview_of=None)):
        with pytest.raises(EngineUnavailable, match="out of memory"):
            await call
    model.failure = None
    assert await drawn(batcher) == list(range(BANDS))
    assert batcher.alive


async def test_closing_ends_running_and_waiting_calls(
    batcher: Batcher, model: ScriptedModel
) -> None:
    model.hold()
    calls = [asyncio.create_task(drawn(batcher))]
    await asyncio.sleep(0.2)
    calls.append(asyncio.create_task(drawn(batcher)))
    await asyncio.sleep(0.01)
    closing = asyncio.create_task(asyncio.to_thread(batcher.close))
    await asyncio.sleep(0.01)
    model.permits.release(1)
    await closing
    for result in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(result, EngineUnavailable)
    assert model.bands_drawn == 0
    assert not batcher.alive
    with pytest.raises(EngineUnavailable):
        await drawn(batcher)
