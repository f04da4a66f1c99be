"""The laws of the engine protocol, held against all three engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.domain import Sampling
from service.engine.engine import DrawnBand, Engine, Generation, Pixels
from service.engine.fake_engine import FakeEngine
from service.engine.torch_engine import TorchEngine
from service.engine.triton_engine import TritonEngine
from service.errors import EngineUnavailable

SAMPLING = Sampling(guidance_scale=1.5, top_k=0, top_p=1.0, temperature=1.0)


@pytest.fixture(params=["fake", "torch", "triton"])
def new_engine(request: pytest.FixtureRequest) -> Callable[[], Engine]:
    if request.param == "fake":
        return FakeEngine
    if request.param == "torch":
        checkpoint: Path = request.getfixturevalue("tiny_checkpoint")
        return lambda: TorchEngine(checkpoint)
    server = request.getfixturevalue("triton_server")
    card = request.getfixturevalue("tiny_repository") / "model.json"
    return lambda: TritonEngine(server.grpc_url, card)


@pytest.fixture
async def engine(new_engine: Callable[[], Engine]) -> AsyncIterator[Engine]:
    engine = new_engine()
    await engine.start()
    yield engine
    await engine.close()


def a_generation(engine: Engine, **changes: Any) -> Generation:
    whole = Generation(
        class_label=1, seed=7, image_index=0, sampling=SAMPLING, bands=engine.card.num_bands
    )
    return replace(whole, **changes)


async def drawn(engine: Engine, generation: Generation) -> list[DrawnBand]:
    async with aclosing(engine.draw(generation)) as bands:
        return [band async for band in bands]


def tokens(bands: list[DrawnBand]) -> list[list[int]]:
    return [band.tokens.tolist() for band in bands]


async def test_it_is_ready_once_started_and_no_longer_once_closed(
    new_engine: Callable[[], Engine],
) -> None:
    engine = new_engine()
    assert not await engine.ready()
    await engine.start()
    assert await engine.ready()
    await engine.close()
    assert not await engine.ready()


async def test_bands_come_in_order_with_the_shapes_of_the_card(engine: Engine) -> None:
    card = engine.card
    bands = await drawn(engine, a_generation(engine))
    assert [band.band for band in bands] == list(range(card.num_bands))
    for band, side in zip(bands, card.grid_sides, strict=True):
        assert band.tokens.shape == (side * side,)
        assert band.tokens.dtype == np.int32
        assert band.tokens.min() >= 0
        assert band.tokens.max() < card.codebook_size
        assert band.canvas.shape == (card.latent_channels, card.latent_side, card.latent_side)
        assert band.canvas.dtype == np.float32
        assert band.seconds >= 0
        assert band.batch_size in card.batch_sizes


async def test_a_generation_does_not_depend_on_its_neighbours(engine: Engine) -> None:
    generation = a_generation(engine)
    alone = await drawn(engine, generation)
    hot = replace(SAMPLING, temperature=2.0, guidance_scale=0.0, top_p=0.9, top_k=5)
    neighbours = [
        *(a_generation(engine, seed=seed, class_label=seed % 4) for seed in range(100, 104)),
        a_generation(engine, sampling=hot),
        a_generation(engine, bands=2),
    ]
    first, *_, last = await asyncio.gather(
        drawn(engine, generation),
        *(drawn(engine, neighbour) for neighbour in neighbours),
        drawn(engine, generation),
    )
    for beside in (first, last):
        assert tokens(beside) == tokens(alone)
        for one, other in zip(beside, alone, strict=True):
            np.testing.assert_array_equal(one.canvas, other.canvas)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 8},
        {"seed": 2**53 + 7},
        {"seed": 2**63 - 1},
        {"image_index": 1},
        {"class_label": 2},
        {"sampling": replace(SAMPLING, guidance_scale=20.0)},
        {"sampling": replace(SAMPLING, temperature=0.2)},
        {"sampling": replace(SAMPLING, top_k=2)},
        {"sampling": replace(SAMPLING, top_p=0.1)},
    ],
    ids=str,
)
async def test_every_field_matters(engine: Engine, change: dict[str, Any]) -> None:
    one = await drawn(engine, a_generation(engine))
    other = await drawn(engine, a_generation(engine, **change))
    assert tokens(one) != tokens(other)


async def test_stopping_early_gives_the_same_first_bands(engine: Engine) -> None:
    whole = await drawn(engine, a_generation(engine))
    for bands in range(1, engine.card.num_bands):
        stopped = await drawn(engine, a_generation(engine, bands=bands))
        assert tokens(stopped) == tokens(whole)[:bands]
        np.testing.assert_array_equal(stopped[-1].canvas, whole[bands - 1].canvas)


async def test_leaving_early_harms_nobody(engine: Engine) -> None:
    async def leave_after_one_band() -> int:
        async with aclosing(engine.draw(a_generation(engine, seed=1))) as bands:
            async for band in bands:
                return band.band
        raise AssertionError("no band came")

    alone = await drawn(engine, a_generation(engine))
    left, stayed = await asyncio.gather(leave_after_one_band(), drawn(engine, a_generation(engine)))
    assert left == 0
    assert tokens(stayed) == tokens(alone)
    assert await engine.ready()


async def test_a_cancelled_task_leaves_the_engine_usable(engine: Engine) -> None:
    task = asyncio.create_task(drawn(engine, a_generation(engine)))
    await asyncio.sleep(0.002)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(await drawn(engine, a_generation(engine))) == engine.card.num_bands


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("class_label", {"class_label": -1}),
        ("class_label", {"class_label": 1000}),
        ("bands", {"bands": 0}),
        ("bands", {"bands": 99}),
        ("seed", {"seed": -1}),
        ("seed", {"seed": 2**63}),
        ("image_index", {"image_index": -1}),
        ("top_k", {"sampling": replace(SAMPLING, top_k=-1)}),
        ("top_k", {"sampling": replace(SAMPLING, top_k=10**6)}),
        ("top_p", {"sampling": replace(SAMPLING, top_p=0.0)}),
        ("top_p", {"sampling": replace(SAMPLING, top_p=1.5)}),
        ("temperature", {"sampling": replace(SAMPLING, temperature=-0.5)}),
        ("guidance_scale", {"sampling": replace(SAMPLING, guidance_scale=float("nan"))}),
    ],
    ids=str,
)
async def test_a_bad_field_is_named(engine: Engine, field: str, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=field):
        await drawn(engine, a_generation(engine, **change))


async def test_decoding_gives_the_same_pixels_every_time(engine: Engine) -> None:
    bands = await drawn(engine, a_generation(engine))
    canvas = bands[-1].canvas
    alone = await engine.decode(canvas)
    side = engine.card.image_size
    assert alone.shape == (side, side, 3)
    assert alone.dtype == np.uint8
    beside = await asyncio.gather(
        *(engine.decode(band.canvas, preview_of=band.band) for band in bands[:-1]),
        engine.decode(canvas),
        engine.decode(canvas, preview_of=bands[-1].band),
    )
    for pixels in beside[-2:]:
        np.testing.assert_array_equal(pixels, alone)


async def test_a_preview_is_the_same_beside_any_others_and_as_wide_as_the_image(
    engine: Engine,
) -> None:
    bands = await drawn(engine, a_generation(engine))
    alone = [await engine.decode(band.canvas, preview_of=band.band) for band in bands]
    beside = await asyncio.gather(
        *(engine.decode(band.canvas) for band in bands),
        *(engine.decode(band.canvas, preview_of=band.band) for band in reversed(bands)),
    )
    side = engine.card.image_size
    for one, other in zip(alone, reversed(beside[len(bands) :]), strict=True):
        assert one.shape == (side, side, 3)
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("band", [-1, 99])
async def test_a_preview_of_no_band_is_refused(engine: Engine, band: int) -> None:
    (drawn_band,) = await drawn(engine, a_generation(engine, bands=1))
    with pytest.raises(ValueError, match="preview_of"):
        await engine.decode(drawn_band.canvas, preview_of=band)


async def test_a_bad_canvas_is_named(engine: Engine) -> None:
    card = engine.card
    shape = (card.latent_channels, card.latent_side, card.latent_side)
    for canvas in (
        np.zeros((1, *shape), np.float32),
        np.zeros(shape, np.float64),
        np.full(shape, np.nan, np.float32),
    ):
        with pytest.raises(ValueError, match="canvas"):
            await engine.decode(canvas)  # type: ignore[arg-type]


def a_picture(engine: Engine, seed: int = 0) -> Pixels:
    """Smooth, as pictures are, and different for each seed."""
    side = engine.card.image_size
    corners = np.random.default_rng(seed).integers(0, 256, (2, 2, 3), np.uint8)
    image = Image.fromarray(corners).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(image)


async def test_encoding_gives_the_tokens_of_every_band_whatever_happens_beside_it(
    engine: Engine,
) -> None:
    alone = await engine.encode(a_picture(engine))
    assert [len(band) for band in alone] == [side**2 for side in engine.card.grid_sides]
    others = [a_picture(engine, seed) for seed in range(1, 5)]
    *beside, last, _ = await asyncio.gather(
        *(engine.encode(other) for other in others),
        engine.encode(a_picture(engine)),
        drawn(engine, a_generation(engine)),
    )
    assert last == alone
    assert len({alone, *beside}) > 1


async def test_kept_bands_come_as_they_were_given(engine: Engine) -> None:
    encoded = await engine.encode(a_picture(engine))
    plain = await drawn(engine, a_generation(engine))
    for keep in range(engine.card.num_bands + 1):
        bands = await drawn(engine, a_generation(engine, kept=encoded[:keep]))
        assert tokens(bands)[:keep] == [list(band) for band in encoded[:keep]]
        assert len(bands) == engine.card.num_bands
        if keep == 0:
            assert tokens(bands) == tokens(plain)


async def test_keeping_what_would_be_drawn_anyway_changes_no_token(engine: Engine) -> None:
    plain = tokens(await drawn(engine, a_generation(engine)))
    for keep in range(1, engine.card.num_bands):
        kept = tuple(map(tuple, plain[:keep]))
        assert tokens(await drawn(engine, a_generation(engine, kept=kept))) == plain


async def test_an_image_that_is_kept_whole_does_not_depend_on_what_was_asked(
    engine: Engine,
) -> None:
    encoded = await engine.encode(a_picture(engine))
    one, other = await asyncio.gather(
        drawn(engine, a_generation(engine, kept=encoded)),
        drawn(engine, a_generation(engine, kept=encoded, seed=99, class_label=3)),
    )
    np.testing.assert_array_equal(one[-1].canvas, other[-1].canvas)
    assert tokens(one) == tokens(other) == [list(band) for band in encoded]


async def test_kept_bands_do_not_depend_on_neighbours_nor_they_on_them(engine: Engine) -> None:
    encoded = await engine.encode(a_picture(engine))
    varied = a_generation(engine, kept=encoded[:3])
    plain = a_generation(engine, seed=5)
    alone = [await drawn(engine, varied), await drawn(engine, plain)]
    crowd = [a_generation(engine, seed=seed, kept=encoded[: seed % 4]) for seed in range(20, 28)]
    beside = await asyncio.gather(*(drawn(engine, each) for each in [varied, plain, *crowd]))
    for once, again in zip(alone, beside, strict=False):
        assert tokens(once) == tokens(again)
        np.testing.assert_array_equal(once[-1].canvas, again[-1].canvas)


async def test_bands_that_cannot_be_kept_and_bad_pixels_are_named(engine: Engine) -> None:
    card = engine.card
    whole = await engine.encode(a_picture(engine))
    for kept in (
        ((0, 0),),
        ((-1,),),
        ((card.codebook_size,),),
        (*whole, (0,)),
    ):
        with pytest.raises(ValueError, match="kept"):
            await drawn(engine, a_generation(engine, kept=kept))
    for pixels in (a_picture(engine)[:-1], a_picture(engine).astype(np.float32)):
        with pytest.raises(ValueError, match="pixels"):
            await engine.encode(pixels)


async def test_drawing_and_decoding_go_on_side_by_side(engine: Engine) -> None:
    async def draw_and_decode(seed: int) -> int:
        shown = 0
        async with aclosing(engine.draw(a_generation(engine, seed=seed))) as bands:
            async for band in bands:
                pixels = await engine.decode(band.canvas, preview_of=band.band)
                shown += pixels.shape[0]
        return shown

    shown = await asyncio.gather(*(draw_and_decode(seed) for seed in range(20)))
    assert shown == [engine.card.num_bands * engine.card.image_size] * 20


async def test_closing_ends_what_runs_and_may_be_repeated(engine: Engine) -> None:
    bands = engine.draw(a_generation(engine))
    first = await anext(bands)
    await engine.close()
    await engine.close()
    with pytest.raises(EngineUnavailable):
        await drawn(engine, a_generation(engine))
    with pytest.raises(EngineUnavailable):
        await engine.decode(first.canvas)
    with pytest.raises(EngineUnavailable):
        await engine.encode(a_picture(engine))
    # What had been drawn by then may still arrive; the generator must end either way.
    with pytest.raises((EngineUnavailable, StopAsyncIteration)):
        for _ in range(engine.card.num_bands):
            await anext(bands)
