"""The seam between the service and whatever draws.

An engine draws one generation per call and batches concurrent calls by itself. Three ship: in
process (torch), Triton, and a deterministic fake. Nothing above this file knows which one runs;
one contract suite (`tests/contracts`) holds them to the same laws.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from service.domain import ModelCard, Sampling

Tokens = npt.NDArray[np.int32]
Canvas = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
BandTokens = tuple[tuple[int, ...], ...]
"""Tokens of the first bands, row-major over each band's grid."""


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One image to draw: a pure function of these fields and the model's digest."""

    class_label: int
    seed: int
    image_index: int
    sampling: Sampling
    bands: int
    kept: BandTokens = ()
    """Bands that are given and not to be drawn, those of an image to vary; the bands after them
    are drawn to fit."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DrawnBand:
    """What an engine yields after each band."""

    band: int
    tokens: Tokens
    """Shape (l,), row-major over the band's grid."""
    canvas: Canvas
    """Shape (C, H, W): the sum of the bands drawn so far."""
    seconds: float
    """Time of the band's step where it ran, pixels excluded."""
    batch_size: int
    """Rows of the executed batch, padding included."""
    baseline_seconds: Mapping[str, float] = field(default_factory=dict)
    """What each baseline takes for this band and batch size, by its name: those that the engine
    has measured on its own host."""

    @property
    def token_digest(self) -> str:
        return hashlib.sha256(self.tokens.astype("<i4").tobytes()).hexdigest()


class Engine(Protocol):
    """Who draws. Failures of the engine itself are raised as `errors.EngineUnavailable`."""

    @property
    def card(self) -> ModelCard:
        """Known once started."""

    async def start(self) -> None:
        """Returns when the engine can draw, or raises."""

    async def ready(self) -> bool:
        """True if a draw would work now; never raises."""

    def draw(self, generation: Generation) -> AsyncGenerator[DrawnBand]:
        """Yields bands 0 to `generation.bands - 1` in order.

        Closing the generator early cancels the generation: it stops using the engine at the next
        band. A bad field raises ValueError that names it. Kept bands are yielded as they were
        given.
        """

    async def decode(self, canvas: Canvas, *, preview_of: int | None = None) -> Pixels:
        """Pixels of shape (side, side, 3), `side` that of the image.

        A preview says the band whose canvas it is. It gives way to images under load, and may be
        decoded more lightly: it is close to the image of that canvas, at the band's resolution.
        """

    async def encode(self, pixels: Pixels) -> BandTokens:
        """The tokens of all bands of a picture (side, side, 3). ValueError names the pixels."""

    async def close(self) -> None:
        """Ends running generations; safe to call twice."""
