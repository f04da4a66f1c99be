"""The pictures of an evaluation. Nobody picks what they show: first rows, or evenly spaced ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nfig.data import LabelledImages
from nfig.evaluation.manifolds import Nearest
from nfig.evaluation.reconstruction import Reconstructions, Spectra
from nfig.evaluation.samples import Samples
from nfig.images import Pixels, image_grid, save_png

SAMPLES = "samples.png"
STRIPS = "strips.png"
RECONSTRUCTIONS = "reconstructions.png"
NEIGHBOURS = "neighbours.png"
NEAREST = "nearest.png"
NEAREST_BY_PIXELS = "nearest_by_pixels.png"

GRID_IMAGES = 128
GRID_COLUMNS = 16
ROWS = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """What there is to see."""

    samples: Samples
    training: LabelledImages
    neighbours: Nearest
    """Of the samples among the training images."""
    pixel_neighbours: Nearest
    """The same by their low-passed pixels."""
    reconstructions: Reconstructions
    spectra: Spectra


def write_pictures(folder: Path, shown: Shown) -> None:
    samples = shown.samples.images.pixels
    save_png(folder / SAMPLES, image_grid(samples[:GRID_IMAGES], columns=GRID_COLUMNS))
    save_png(folder / STRIPS, _rows(shown.samples.strips))
    save_png(folder / RECONSTRUCTIONS, _reconstruction_rows(shown.reconstructions))
    first = np.arange(min(ROWS, len(samples)))
    save_png(folder / NEIGHBOURS, _neighbour_rows(shown, shown.neighbours, first))
    for name, neighbours in (
        (NEAREST, shown.neighbours),
        (NEAREST_BY_PIXELS, shown.pixel_neighbours),
    ):
        closest = np.argsort(neighbours.distances_Nk[:, 0], kind="stable")[:ROWS]
        save_png(folder / name, _neighbour_rows(shown, neighbours, closest))


def _reconstruction_rows(reconstructions: Reconstructions) -> Pixels:
    """The original, then what is decoded up to each band."""
    count = len(reconstructions.originals)
    chosen = np.linspace(0, count - 1, min(ROWS, count)).round().astype(np.int64)
    columns = [reconstructions.originals, *reconstructions.upto_band]
    return _rows(np.stack([pixels[chosen] for pixels in columns], axis=1))


def _neighbour_rows(shown: Shown, among_training: Nearest, rows: npt.NDArray[np.int64]) -> Pixels:
    """The sample, then its nearest training images, nearest first."""
    samples = shown.samples.images.pixels[rows]
    neighbours = shown.training.pixels[among_training.rows_Nk[rows]]
    return _rows(np.concatenate([samples[:, None], neighbours], axis=1))


def _rows(strips: Pixels) -> Pixels:
    """(rows, columns, side, side, 3) as one picture."""
    return image_grid(strips.reshape(-1, *strips.shape[2:]), columns=strips.shape[1])
