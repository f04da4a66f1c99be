"""What the tokenizer alone loses: held-out images encoded, then decoded up to each band.

Shape legend: N images, K bands, V codebook size, l tokens of one band.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from nfig.evaluation.features import in_batches
from nfig.evaluation.spectrum import (
    FrequencyRange,
    Spectrum,
    band_ranges,
    spectrum,
    spectrum_error,
)
from nfig.images import Pixels, to_pixels, to_tensor
from nfig.tokenizer import FRVAE
from nfig.training.reporting import Reporter

BATCH = 64
SMALLEST_ERROR = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class Reconstructions:
    originals: Pixels
    upto_band: list[Pixels]
    """K arrays as `originals`; the last is the whole reconstruction."""
    codebook_used: float
    """Share of the codebook's entries that stand for anything in the originals."""

    @property
    def whole(self) -> Pixels:
        return self.upto_band[-1]


@dataclass(frozen=True, kw_only=True, eq=False)
class Spectra:
    """Of the same images."""

    ranges: list[FrequencyRange]
    """What each band adds."""
    originals: Spectrum
    upto_band: list[Spectrum]


@torch.no_grad()
def reconstruct(tokenizer: FRVAE, originals: Pixels, *, reporter: Reporter) -> Reconstructions:
    num_bands = tokenizer.config.num_bands
    used_V = torch.zeros(tokenizer.config.codebook_size, dtype=torch.bool)
    decoded: list[list[Pixels]] = [[] for _ in range(num_bands)]
    for rows in in_batches(len(originals), BATCH, what="images reconstructed", reporter=reporter):
        tokens_Bl = tokenizer.encode(to_tensor(originals[rows]))
        for band in range(num_bands):
            used_V[tokens_Bl[band].flatten()] = True
            decoded[band].append(to_pixels(tokenizer.decode(tokens_Bl, upto=band)))
    return Reconstructions(
        originals=originals,
        upto_band=[np.concatenate(pixels) for pixels in decoded],
        codebook_used=float(used_V.float().mean()),
    )


def psnr(decoded: Pixels, originals: Pixels) -> float:
    """Peak signal-to-noise ratio in dB, of the mean squared error of all pixels, 0 to 255."""
    error = np.square(decoded.astype(np.float32) - originals.astype(np.float32))
    return 10 * math.log10(255**2 / max(float(error.mean(dtype=np.float64)), SMALLEST_ERROR))


def take_spectra(reconstructions: Reconstructions, grid_sides: tuple[int, ...]) -> Spectra:
    return Spectra(
        ranges=band_ranges(grid_sides),
        originals=spectrum(reconstructions.originals),
        upto_band=[spectrum(pixels) for pixels in reconstructions.upto_band],
    )


def reconstruction_figures(reconstructions: Reconstructions, spectra: Spectra) -> dict[str, Any]:
    """What the report says of reconstructions."""
    originals, whole = spectra.originals, spectra.upto_band[-1]
    by_band = [psnr(pixels, reconstructions.originals) for pixels in reconstructions.upto_band]
    above = FrequencyRange(low=spectra.ranges[-1].high, high=math.inf)
    bands = [
        {
            "band": band,
            "psnr_upto_band": by_band[band],
            "cycles_per_image": [within.low, within.high],
            "spectrum_error": spectrum_error(whole, originals, within),
            "spectrum_error_upto_band": spectrum_error(spectra.upto_band[band], originals, within),
        }
        for band, within in enumerate(spectra.ranges)
    ]
    return {
        "psnr": by_band[-1],
        "bands": bands,
        "spectrum_error_above_all_bands": spectrum_error(whole, originals, above),
        "codebook_used": reconstructions.codebook_used,
    }
