"""A checkpoint as a server uses it: batches of independent rows in, numpy arrays out.

Triton's models and the in-process engine both stand on this, so that they draw alike.

Shape legend: B batch rows, C latent channels, H W latent grid, l tokens of one band.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch

from nfig import checkpoint
from nfig.export.baseline import Baseline, Place, read_baseline
from nfig.export.contract import BATCH_SIZES
from nfig.generation import NO_TOKEN, BandStep, Generation, generate
from nfig.graphs import Graphs
from nfig.heap import map_large_tensors
from nfig.images import to_pixels
from nfig.model import NFIGModel
from nfig.precision import pack
from nfig.profile import to_profile

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class ServedRow:
    """One band of one generation."""

    tokens: npt.NDArray[np.int32]
    """Shape (l,), row-major over the band's grid."""
    canvas: npt.NDArray[np.float32]
    """Shape (C, H, W)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ServedBand:
    """One band of a batch."""

    band: int
    rows: Sequence[ServedRow | None]
    """One entry per generation asked for; None where it has stopped."""
    seconds: float
    batch_size: int
    """Rows executed, padding included."""
    baseline_seconds: Mapping[str, float]
    """What each baseline takes for the same, by its name; those that were measured here."""


class ServedModel:
    """Draws and decodes with one model; on a GPU one call at a time, whose graphs share memory."""

    def __init__(self, model: NFIGModel, *, digest: str) -> None:
        self.model = model.eval()
        self.config = model.config
        self.digest = digest
        self.graphs = Graphs.on(model.device)
        self.baseline: Baseline | None = None
        """What speed is compared with, once it has been measured."""

    @classmethod
    def load(cls, folder: Path, *, device: str = "cpu") -> Self:
        """From a checkpoint folder, with the baseline that was measured here and is kept in it.

        Raises ValueError if it is not a whole one.
        """
        map_large_tensors()
        model = to_profile(checkpoint.load(folder).to(device))
        model.apply(pack)
        served = cls(model, digest=checkpoint.digest(folder))
        here, num_bands = place_of(served), served.model.num_bands
        try:
            served.baseline = read_baseline(folder, here=here, num_bands=num_bands)
        except ValueError as error:  # what speed is compared with must not keep it from drawing
            logger.warning("no baseline: %s", error)
        return served

    def draw(
        self,
        generations: Sequence[Generation],
        *,
        is_alive: Callable[[int], bool] | None = None,
    ) -> Iterator[ServedBand]:
        """One `ServedBand` per band until every generation is complete or no longer alive.

        Raises ValueError at once that names a bad field.
        """
        num_rows = len(generations)
        batch_size = padded_size(num_rows)
        padding = [generations[0]] * (batch_size - num_rows)

        def alive(row: int) -> bool:
            # Padding is never alive, so that it does not keep the loop going.
            return row < num_rows and (is_alive is None or is_alive(row))

        # The baselines are measured with guidance, which doubles the rows.
        guided = any(generation.guidance_scale > 0 for generation in generations)
        rows = [*generations, *padding]
        steps = generate(self.model, rows, is_alive=alive, graphs=self.graphs)
        return (
            _served(
                step,
                num_rows=num_rows,
                batch_size=batch_size,
                baseline=self.baseline if guided else None,
            )
            for step in steps
        )

    @torch.no_grad()
    def decode(
        self, canvas_BCHW: npt.NDArray[np.float32], previews_of: Sequence[int | None]
    ) -> npt.NDArray[np.uint8]:
        """Pixels (B, side, side, 3), the same for a canvas whatever its neighbours.

        Of each canvas the band that it is a preview of, or None for an image.
        """
        # One row at a time: how a convolution splits its sums between threads depends on the
        # batch, and moved a pixel by one level in one image of ten.
        rows_1CHW = torch.from_numpy(canvas_BCHW).to(self.model.device).split(1)
        tokenizer = self.model.tokenizer
        pixels = [
            to_pixels(
                tokenizer.decode_canvas(row_1CHW)
                if band is None
                else tokenizer.preview(band, row_1CHW)
            )
            for row_1CHW, band in zip(rows_1CHW, previews_of, strict=True)
        ]
        return np.concatenate(pixels)

    @property
    def canvas_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        tokenizer = self.config.tokenizer
        return (tokenizer.latent_channels, tokenizer.latent_side, tokenizer.latent_side)

    def warm_up(self) -> None:
        """Draws once at every batch size and decodes: first runs are far slower than the rest."""
        self.warm_up_decoders()
        sampling = self.config.sampling
        generation = Generation.with_sampling(sampling, class_label=0, seed=0)
        for batch_size in BATCH_SIZES:
            for _ in self.draw([generation] * batch_size):
                pass

    def warm_up_decoders(self) -> None:
        """An image, and a preview of every band."""
        previews_of = [None, *range(self.model.num_bands - 1)]
        self.decode(np.zeros((len(previews_of), *self.canvas_shape), np.float32), previews_of)


def place_of(served: ServedModel) -> Place:
    """Where the model runs."""
    weight = next(served.model.transformer.parameters())
    return Place.here(digest=served.digest, device=weight.device, dtype=weight.dtype)


def padded_size(num_rows: int) -> int:
    """The declared batch size that holds `num_rows`."""
    return next(size for size in BATCH_SIZES if size >= num_rows)


def _served(
    step: BandStep, *, num_rows: int, batch_size: int, baseline: Baseline | None
) -> ServedBand:
    tokens_Bl = step.tokens_Bl.to("cpu", torch.int32).numpy()
    canvas_BCHW = step.canvas_BCHW.to("cpu", torch.float32).numpy()
    rows = [
        None
        if tokens_Bl[row, 0] == NO_TOKEN
        else ServedRow(tokens=tokens_Bl[row], canvas=canvas_BCHW[row])
        for row in range(num_rows)
    ]
    return ServedBand(
        band=step.band,
        rows=rows,
        seconds=step.seconds,
        batch_size=batch_size,
        baseline_seconds={} if baseline is None else baseline.seconds_of(step.band, batch_size),
    )
