"""Spectra as SVG, to stand inside a page."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from nfig.evaluation.spectrum import SMALLEST_POWER, FrequencyRange, Spectrum

WIDTH, HEIGHT = 320, 200
LEFT, BOTTOM, TOP, RIGHT = 34, 28, 8, 8
SMOOTH_FROM = 4.0
ORIGINAL, DECODED, BAND = "#222222", "#d9480f", "#e7f0fa"

Floats = npt.NDArray[np.float64]


class _Axes:
    """Both axes are logarithmic; the constant (radius 0) is left out."""

    def __init__(self, spectra: Iterable[Spectrum]) -> None:
        spectra = [_smoothed(each) for each in spectra]
        powers = np.concatenate([_log(each.power_R) for each in spectra])
        self.low = math.floor(float(powers.min()))
        self.high = math.ceil(float(powers.max()) + 1e-9)
        self.last = math.log10(max(float(spectra[0].radii_R[-1]), 2.0))

    def x(self, radius: float) -> float:
        share = min(math.log10(max(radius, 1.0)) / self.last, 1.0)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, log_power: float) -> float:
        share = (log_power - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


def spectrum_plot(original: Spectrum, decoded: Spectrum, within: FrequencyRange, title: str) -> str:
    """Power over cycles per image: the originals dark, the decoded coloured, the range shaded."""
    axes = _Axes([original, decoded])
    left, right = axes.x(within.low), axes.x(within.high)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">',
        f"<title>{title}</title>",
        f'<rect x="{left:.1f}" y="{TOP}" width="{max(right - left, 1):.1f}" '
        f'height="{HEIGHT - BOTTOM - TOP}" fill="{BAND}"/>',
        *_grid(axes),
        _line(axes, original, ORIGINAL),
        _line(axes, decoded, DECODED),
        "</svg>",
    ]
    return "\n".join(parts)


def _grid(axes: _Axes) -> list[str]:
    parts = []
    for power in range(axes.low, axes.high + 1):
        y = axes.y(power)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
            f'<text x="{LEFT - 4}" y="{y + 4:.1f}" text-anchor="end">1e{power}</text>'
        )
    for exponent in range(int(axes.last / math.log10(2)) + 1):
        x = axes.x(2**exponent)
        parts.append(
            f'<text x="{x:.1f}" y="{HEIGHT - 12}" text-anchor="middle">{2**exponent}</text>'
        )
    return parts


def _line(axes: _Axes, spectrum: Spectrum, colour: str) -> str:
    smooth = _smoothed(spectrum)
    points = zip(smooth.radii_R, _log(smooth.power_R), strict=True)
    text = " ".join(f"{axes.x(radius):.1f},{axes.y(power):.1f}" for radius, power in points)
    return f'<polyline points="{text}" fill="none" stroke="{colour}"/>'


def _smoothed(spectrum: Spectrum) -> Spectrum:
    """Without radius 0, and from SMOOTH_FROM on one point for each whole number of cycles.

    An image's edges put power onto the two axes alone, which is a spike at every whole radius.
    """
    radii_R = spectrum.radii_R[1:]
    place_R = np.where(radii_R < SMOOTH_FROM, radii_R, np.rint(radii_R))
    places, group_R = np.unique(place_R, return_inverse=True)
    sums = np.bincount(group_R, weights=spectrum.power_R[1:])
    return Spectrum(radii_R=places, power_R=sums / np.bincount(group_R))


def _log(power_R: Floats) -> Floats:
    logarithms: Floats = np.log10(power_R + SMALLEST_POWER)
    return logarithms
