"""What the fake promises beyond the engine contract."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import replace

import numpy as np
import pytest

from service.domain import Sampling
from service.engine.engine import DrawnBand, Generation
from service.engine.fake_engine import FAKE_CARD, FakeEngine

GENERATION = Generation(
    class_label=5,
    seed=3,
    image_index=0,
    sampling=Sampling(guidance_scale=1.5, top_k=0, top_p=1.0, temperature=1.0),
    bands=FAKE_CARD.num_bands,
)


async def drawn(engine: FakeEngine) -> list[DrawnBand]:
    await engine.start()
    async with aclosing(engine.draw(GENERATION)) as bands:
        return [band async for band in bands]


async def test_previews_get_closer_to_the_image() -> None:
    engine = FakeEngine()
    bands = await drawn(engine)
    final, *previews = [await engine.decode(b.canvas, preview_of=b.band) for b in reversed(bands)]
    distances = [np.abs(final.astype(int) - preview).mean() for preview in previews]
    assert distances == sorted(distances)
    assert distances[0] > 0


async def test_two_processes_would_draw_the_same() -> None:
    digest = (await drawn(FakeEngine()))[-1].token_digest
    assert digest == (await drawn(FakeEngine()))[-1].token_digest
    assert digest.startswith("33370c41f5ff")


async def test_another_checkpoint_draws_something_else() -> None:
    other = FakeEngine(replace(FAKE_CARD, digest="0" * 64))
    assert (await drawn(FakeEngine()))[0].token_digest != (await drawn(other))[0].token_digest


async def test_bands_take_the_seconds_that_were_asked_for_and_overlap() -> None:
    engine = FakeEngine(band_seconds=0.02)
    started = time.monotonic()
    one, _ = await asyncio.gather(drawn(engine), drawn(engine))
    assert 0.1 <= time.monotonic() - started < 0.19
    assert {band.seconds for band in one} == {0.02}


def test_a_card_it_cannot_paint_is_refused() -> None:
    with pytest.raises(ValueError, match="latent_channels"):
        FakeEngine(replace(FAKE_CARD, latent_channels=16))
