"""What the plots of spectra show."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from nfig.evaluation.plot import HEIGHT, WIDTH, spectrum_plot
from nfig.evaluation.spectrum import FrequencyRange, spectrum


@pytest.mark.parametrize("side", [4, 8, 64])
def test_both_spectra_lie_within_the_plot(side: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, side, side, 3)).astype(np.uint8)
    flat = np.full_like(pixels, 7)
    within = FrequencyRange(low=0.5, high=1)
    plot = spectrum_plot(spectrum(pixels), spectrum(flat), within, "band 1")
    ElementTree.fromstring(plot)
    lines = re.findall(r'points="([^"]+)"', plot)
    assert len(lines) == 2
    for point in " ".join(lines).split():
        x, y = map(float, point.split(","))
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT


def test_equal_spectra_are_one_line() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)
    own = spectrum(pixels)
    plot = spectrum_plot(own, own, FrequencyRange(low=1, high=2), "band 2")
    first, second = re.findall(r'points="([^"]+)"', plot)
    assert first == second
