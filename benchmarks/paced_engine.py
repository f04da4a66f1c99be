"""A fake engine whose bands cost what they cost a large model: time in proportion to their tokens.
Its bands are those of the model that ships, of which it is known how good an image each makes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from service.engine.engine import DrawnBand, Generation
from service.engine.fake_engine import FAKE_CARD, FakeEngine

CHECKPOINT = Path(__file__).parents[1] / "checkpoints" / "avatars-64"


def grid_sides() -> tuple[int, ...]:
    config = json.loads((CHECKPOINT / "config.json").read_text(encoding="utf-8"))
    return tuple(config["tokenizer"]["grid_sides"])


def psnr_of_bands() -> list[float]:
    """Of an image that stops at each band against the original, as measured on held-out images."""
    evaluation = json.loads((CHECKPOINT / "evaluation.json").read_text(encoding="utf-8"))
    return [float(band["psnr_upto_band"]) for band in evaluation["reconstruction"]["bands"]]


class PacedEngine(FakeEngine):
    """Draws an image of all bands in `image_seconds`."""

    def __init__(self, image_seconds: float) -> None:
        sides = grid_sides()
        super().__init__(replace(FAKE_CARD, id="paced", grid_sides=sides))
        tokens = sum(side * side for side in sides)
        self._seconds = [image_seconds * side * side / tokens for side in sides]

    async def draw(self, generation: Generation) -> AsyncGenerator[DrawnBand]:
        async with aclosing(super().draw(generation)) as bands:
            async for drawn in bands:
                seconds = self._seconds[drawn.band]
                await asyncio.sleep(seconds)
                yield replace(drawn, seconds=seconds)
