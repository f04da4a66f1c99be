"""Radially averaged power spectra, and how far two are apart in the range that each band adds.

Frequencies are in cycles per image. A grid of side s holds frequencies up to s / 2, its Nyquist
limit, so band k adds those above s_(k-1) / 2 and up to s_k / 2; band 0 those from 0.

Shape legend: N images, Y X pixels, R radii.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nfig.images import Pixels

Floats = npt.NDArray[np.float64]

SMALLEST_POWER = 1e-12
IMAGES_AT_ONCE = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class Spectrum:
    radii_R: Floats
    """Every radius that a frequency of the image has, ascending, up to half of the image's side."""
    power_R: Floats
    """Mean over images, channels and the frequencies of this radius; pixels from 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class FrequencyRange:
    low: float
    high: float

    def holds(self, radii_R: Floats) -> npt.NDArray[np.bool_]:
        return (radii_R <= self.high) & ((radii_R > self.low) | (self.low == 0))


def band_ranges(grid_sides: Sequence[int]) -> list[FrequencyRange]:
    limits = [0.0, *(side / 2 for side in grid_sides)]
    return [FrequencyRange(low=a, high=b) for a, b in zip(limits, limits[1:], strict=False)]


def spectrum(pixels: Pixels) -> Spectrum:
    """Of images (N, Y, X, 3) as they are, without a window."""
    side = pixels.shape[1]
    power_YX = np.zeros((side, side))
    for start in range(0, len(pixels), IMAGES_AT_ONCE):
        chunk = pixels[start : start + IMAGES_AT_ONCE].astype(np.float64) / 255
        transformed = np.fft.fft2(chunk, axes=(1, 2), norm="ortho")
        power_YX += np.square(np.abs(transformed)).sum(axis=(0, 3)) / (3 * len(pixels))
    frequency = np.rint(np.fft.fftfreq(side, d=1 / side)).astype(np.int64)
    squared_YX = np.square(frequency)[:, None] + np.square(frequency)
    squared_R, place = np.unique(squared_YX, return_inverse=True)
    place = place.reshape(-1)
    power_R = np.bincount(place, weights=power_YX.reshape(-1)) / np.bincount(place)
    kept = squared_R <= (side / 2) ** 2
    return Spectrum(radii_R=np.sqrt(squared_R[kept]), power_R=power_R[kept])


def spectrum_error(a: Spectrum, b: Spectrum, within: FrequencyRange) -> float | None:
    """Mean over radii of |log10 of the ratio of powers|; None if no radius lies in the range."""
    chosen_R = within.holds(a.radii_R)
    if not chosen_R.any():
        return None
    ratio_R = (a.power_R[chosen_R] + SMALLEST_POWER) / (b.power_R[chosen_R] + SMALLEST_POWER)
    return float(np.abs(np.log10(ratio_R)).mean())
