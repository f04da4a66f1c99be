"""An engine without a model: deterministic, cheap, and honest about every law of the protocol.

For tests of everything above the engine, for load tests of the queue and the front doors, and for
trying the service where no checkpoint is at hand. Each class is a disc of its own colour; the seed
moves it; each band draws it on its own grid, so previews really do get sharper.
"""

from __future__ import annotations

import asyncio
import colorsys
import hashlib
import struct
from collections.abc import AsyncGenerator

import numpy as np
import numpy.typing as npt

from service.domain import ModelCard
from service.engine.engine import BandTokens, Canvas, DrawnBand, Generation, Pixels, Tokens
from service.engine.limits import check_canvas, check_generation, check_pixels, check_preview
from service.errors import EngineUnavailable

FAKE_CARD = ModelCard(
    id="fake",
    digest=hashlib.sha256(b"nfig fake model").hexdigest(),
    image_size=64,
    grid_sides=(1, 2, 4, 8, 16),
    latent_channels=3,
    codebook_size=4096,
    class_names=("red", "amber", "lime", "green", "cyan", "blue", "violet", "pink"),
    guidance_scale=1.5,
    top_k=0,
    top_p=1.0,
    temperature=1.0,
)
TOKEN_AMPLITUDE = 0.15
"""How far the tokens push the colours: enough to tell seeds apart, too little to hide a disc."""


class FakeEngine:
    """Keeps `Engine`'s protocol; batches nothing, every generation runs alone."""

    def __init__(self, card: ModelCard = FAKE_CARD, *, band_seconds: float = 0.0) -> None:
        if card.latent_channels != 3:
            raise ValueError(f"latent_channels must be 3 for the fake, not {card.latent_channels}")
        self.card = card
        self.band_seconds = band_seconds
        self._open = False

    async def start(self) -> None:
        self._open = True

    async def ready(self) -> bool:
        return self._open

    async def draw(self, generation: Generation) -> AsyncGenerator[DrawnBand]:
        check_generation(generation, self.card)
        for band in range(generation.bands):
            await asyncio.sleep(self.band_seconds)
            self._check_open()
            if band < len(generation.kept):
                tokens = np.array(generation.kept[band], np.int32)
            else:
                tokens = _tokens(generation, band, self.card)
            yield DrawnBand(
                band=band,
                tokens=tokens,
                canvas=_canvas(generation, band, tokens, self.card),
                seconds=self.band_seconds,
                batch_size=1,
            )

    async def decode(self, canvas: Canvas, *, preview_of: int | None = None) -> Pixels:
        """Its previews are no lighter: nearest neighbours cost nothing as it is."""
        self._check_open()
        check_canvas(canvas, self.card)
        check_preview(preview_of, self.card)
        canvas_HWC = np.moveaxis(canvas, 0, -1)
        levels = (canvas_HWC.clip(0, 1) * 255).round().astype(np.uint8)
        columns = np.arange(self.card.image_size) * self.card.latent_side // self.card.image_size
        pixels: Pixels = levels[columns][:, columns]
        return pixels

    async def encode(self, pixels: Pixels) -> BandTokens:
        self._check_open()
        check_pixels(pixels, self.card)
        return tuple(_colour_tokens(pixels, side, self.card) for side in self.card.grid_sides)

    async def close(self) -> None:
        self._open = False

    def _check_open(self) -> None:
        if not self._open:
            raise EngineUnavailable("the engine is closed", retry_after_s=1.0)


def _tokens(generation: Generation, band: int, card: ModelCard) -> Tokens:
    """Tokens (l,) of one band: a hash of everything that the band may depend on, and no more."""
    sampling = generation.sampling
    key = hashlib.sha256(card.digest.encode())
    # `bands` is left out on purpose: stopping early must not change the bands before the stop.
    key.update(
        struct.pack(
            "<qqqqddqd",
            generation.class_label,
            generation.seed,
            generation.image_index,
            band,
            sampling.guidance_scale,
            sampling.temperature,
            sampling.top_k,
            sampling.top_p,
        )
    )
    length = card.grid_sides[band] ** 2
    stream = hashlib.shake_256(key.digest()).digest(4 * length)
    return (np.frombuffer(stream, dtype="<u4") % card.codebook_size).astype(np.int32)


def _canvas(generation: Generation, band: int, tokens: Tokens, card: ModelCard) -> Canvas:
    """Canvas (3, H, W): the class's disc as the band's grid sees it, grained by its tokens.

    Of a kept band it is the colours that its tokens stand for, and those shine through the disc in
    the bands after it.
    """
    num_kept = min(len(generation.kept), band + 1)
    kept_HWC = _spread(_colours(generation.kept[num_kept - 1], card), card) if num_kept else None
    if kept_HWC is not None and num_kept == band + 1:
        return np.moveaxis(kept_HWC, -1, 0).astype(np.float32)
    side = card.grid_sides[band]
    grain_hw = tokens.reshape(side, side) / card.codebook_size - 0.5
    drawn_hwC = _disc(generation, side, card) + TOKEN_AMPLITUDE * grain_hw[..., None]
    drawn_HWC = _spread(drawn_hwC, card)
    if kept_HWC is not None:
        drawn_HWC = (drawn_HWC + kept_HWC) / 2
    return np.moveaxis(drawn_HWC, -1, 0).astype(np.float32)


def _spread(grid_hwC: npt.NDArray[np.float64], card: ModelCard) -> npt.NDArray[np.float64]:
    """A band's grid (h, w, 3) on that of the canvas (H, W, 3)."""
    columns = np.arange(card.latent_side) * len(grid_hwC) // card.latent_side
    return np.asarray(grid_hwC[columns][:, columns])


def _levels(card: ModelCard) -> int:
    """How many levels of each colour a token of a kept band tells apart."""
    return int(card.codebook_size ** (1 / 3) + 1e-9)


def _colour_tokens(pixels: Pixels, side: int, card: ModelCard) -> tuple[int, ...]:
    """The mean colour of each cell of a band's grid, as a token."""
    edges = np.arange(side) * card.image_size // side
    sums_hwC = np.add.reduceat(np.add.reduceat(pixels.astype(np.float64), edges), edges, axis=1)
    spans = np.diff([*edges, card.image_size])
    means_hwC = sums_hwC / np.multiply.outer(spans, spans)[..., None] / 255
    codes_hwC = np.minimum((means_hwC * _levels(card)).astype(np.int64), _levels(card) - 1)
    tokens_hw = codes_hwC @ np.array([_levels(card) ** 2, _levels(card), 1])
    return tuple(tokens_hw.ravel().tolist())


def _colours(tokens: tuple[int, ...], card: ModelCard) -> npt.NDArray[np.float64]:
    """The colours (h, w, 3) that tokens stand for."""
    side, levels = round(len(tokens) ** 0.5), _levels(card)
    tokens_hw = np.array(tokens).reshape(side, side)
    digits = (tokens_hw // levels**2, tokens_hw // levels, tokens_hw)
    return np.asarray((np.stack(digits, axis=-1) % levels + 0.5) / levels)


def _disc(generation: Generation, side: int, card: ModelCard) -> npt.NDArray[np.float64]:
    """Colours (h, w, 3) of a disc on a light ground, averaged over the cells of the grid."""
    place = hashlib.sha256(struct.pack("<qq", generation.seed, generation.image_index)).digest()
    centre_x, centre_y = (0.35 + 0.3 * byte / 255 for byte in place[:2])
    fine = side * 4
    along = (np.arange(fine) + 0.5) / fine
    inside_yx = np.hypot(along[None, :] - centre_x, along[:, None] - centre_y) < 0.3
    cover_hw = inside_yx.reshape(side, 4, side, 4).mean(axis=(1, 3))[..., None]
    hue = generation.class_label / len(card.class_names)
    colour = np.array(colorsys.hsv_to_rgb(hue, 0.8, 0.9))
    ground = np.full(3, 0.92)
    return np.asarray(cover_hw * colour + (1 - cover_hw) * ground)
