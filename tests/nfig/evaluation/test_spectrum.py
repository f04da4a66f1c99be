"""Laws of spectra and of the ranges of bands."""

from __future__ import annotations

import numpy as np
import pytest

from nfig.evaluation.spectrum import FrequencyRange, band_ranges, spectrum, spectrum_error
from nfig.images import Pixels

GRID_SIDES = (1, 2, 3, 5, 8)


def noise(count: int = 4, side: int = 32) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3)).astype(np.uint8)


def wave(cycles: int, side: int = 32) -> Pixels:
    row = 127.5 + 100 * np.cos(2 * np.pi * cycles * np.arange(side) / side)
    return np.broadcast_to(row[None, None, :, None], (1, side, side, 3)).astype(np.uint8)


def test_identical_images_have_no_error_in_any_band() -> None:
    own = spectrum(noise())
    assert [spectrum_error(own, own, each) for each in band_ranges(GRID_SIDES)] == [0.0] * 5


def test_the_ranges_of_bands_share_no_radius_and_leave_none_out() -> None:
    radii = spectrum(noise()).radii_R
    held = np.stack([each.holds(radii) for each in band_ranges(GRID_SIDES)]).sum(0)
    assert np.array_equal(held, (radii <= 4).astype(int))


def test_a_bands_range_ends_at_the_nyquist_limit_of_its_grid() -> None:
    ranges = band_ranges(GRID_SIDES)
    assert [(each.low, each.high) for each in ranges[:2]] == [(0, 0.5), (0.5, 1)]
    assert (ranges[-1].low, ranges[-1].high) == (2.5, 4)


def test_a_wave_has_its_power_at_its_own_radius() -> None:
    found = spectrum(wave(3))
    assert found.radii_R[1:][np.argmax(found.power_R[1:])] == 3


def test_half_the_amplitude_is_a_quarter_of_the_power() -> None:
    whole, half = noise() // 2 * 2, noise() // 2
    expected = np.log10(4)
    for within in band_ranges(GRID_SIDES):
        error = spectrum_error(spectrum(half), spectrum(whole), within)
        assert error == pytest.approx(expected, abs=1e-3)


def test_all_power_is_that_of_the_pixels() -> None:
    pixels = noise(side=4)
    found = spectrum(pixels)
    # Within half of the side, 4 x 4 frequencies lack only those off to the corners.
    assert found.radii_R.tolist() == [0, 1, pytest.approx(2**0.5), 2]
    assert found.power_R[0] == pytest.approx(16 * np.square(pixels.mean((1, 2)) / 255).mean())


def test_a_range_without_a_frequency_has_no_error() -> None:
    own = spectrum(noise())
    assert spectrum_error(own, own, FrequencyRange(low=1.1, high=1.2)) is None
