"""Laws of NFIG's bands, for each basis and each kind of band edges."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nfig.config import IMAGENET_256, BandEdges, Basis
from nfig.frequency import BandSplit, dct_basis

Cut = tuple[Basis, BandEdges]
CUTS: tuple[Cut, ...] = (("dct", "nyquist"), ("fft", "nyquist"), ("fft", "literal"))
TOLERANCE = 1e-4

any_cut = pytest.mark.parametrize("cut", CUTS, ids="-".join)
grid_sides = st.sets(st.integers(1, 12), min_size=1, max_size=6).map(sorted)
seeds = st.integers(0, 2**32)
laws = settings(max_examples=25, deadline=None)


def band_split(sides: Sequence[int], cut: Cut) -> BandSplit:
    basis, band_edges = cut
    return BandSplit(sides, basis, band_edges=band_edges)


def random_grid(*, seed: int, side: int) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(seed))


def energy_above(basis: Basis, x_BCHW: Tensor, *, side: int) -> float:
    """Largest coefficient that a grid of this side must not hold."""
    latent_side = x_BCHW.shape[-1]
    if basis == "dct":
        transform = dct_basis(latent_side).float()
        spectrum = (transform @ x_BCHW @ transform.T).abs()
        spectrum[..., :side, :side] = 0
        return float(spectrum.max())
    frequency = torch.fft.fftfreq(latent_side) * latent_side
    is_above = torch.hypot(frequency[:, None], frequency) >= side / 2
    masked = torch.fft.fft2(x_BCHW).abs() * is_above
    return float(masked.max()) / latent_side


@any_cut
@given(sides=grid_sides, seed=seeds)
@laws
def test_a_band_limited_signal_survives_a_round_trip(cut: Cut, sides: list[int], seed: int) -> None:
    bands = band_split(sides, cut)
    latent = random_grid(seed=seed, side=sides[-1])
    for band in range(bands.num_bands):
        low = bands.low_pass(band, latent)
        torch.testing.assert_close(
            bands.up(band, bands.down(band, low)), low, atol=TOLERANCE, rtol=TOLERANCE
        )


@any_cut
@given(sides=grid_sides, seed=seeds)
@laws
def test_a_grid_of_a_band_survives_a_round_trip(cut: Cut, sides: list[int], seed: int) -> None:
    bands = band_split(sides, cut)
    for band, side in enumerate(sides):
        grid = random_grid(seed=seed, side=side)
        torch.testing.assert_close(
            bands.down(band, bands.up(band, grid)), grid, atol=TOLERANCE, rtol=TOLERANCE
        )


@any_cut
@given(sides=grid_sides, seed=seeds)
@laws
def test_the_bands_of_a_latent_sum_to_it(cut: Cut, sides: list[int], seed: int) -> None:
    latent = random_grid(seed=seed, side=sides[-1])
    split = band_split(sides, cut).split(latent)
    assert len(split) == len(sides)
    torch.testing.assert_close(sum(split), latent, atol=TOLERANCE, rtol=TOLERANCE)


@any_cut
@given(sides=grid_sides, seed=seeds)
@laws
def test_no_band_has_energy_above_its_cut_off(cut: Cut, sides: list[int], seed: int) -> None:
    bands = band_split(sides, cut)
    split = bands.split(random_grid(seed=seed, side=sides[-1]))
    for side, band in zip(sides[:-1], split[:-1], strict=True):
        assert energy_above(bands.basis, band, side=side) < TOLERANCE


@any_cut
@given(sides=grid_sides, seed=seeds)
@laws
def test_a_band_has_no_energy_below_the_cut_off_before_it(
    cut: Cut, sides: list[int], seed: int
) -> None:
    bands = band_split(sides, cut)
    split = bands.split(random_grid(seed=seed, side=sides[-1]))
    for before, (_, band) in enumerate(pairwise(split)):
        assert bands.low_pass(before, band).abs().max() < TOLERANCE


@any_cut
@given(sides=grid_sides, value=st.floats(-10, 10))
@laws
def test_a_constant_keeps_its_value_on_every_grid(cut: Cut, sides: list[int], value: float) -> None:
    bands = band_split(sides, cut)
    latent = torch.full((1, 1, sides[-1], sides[-1]), value)
    for band, side in enumerate(sides):
        down = bands.down(band, latent)
        torch.testing.assert_close(down, torch.full((1, 1, side, side), value), atol=1e-4, rtol=0)
        torch.testing.assert_close(bands.up(band, down), latent, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("band_edges", "expected"),
    [
        ("literal", [1, 0, 0, 0, 0, 4, 4, 16, 44, 187]),
        ("nyquist", [1, 0, 8, 0, 12, 4, 20, 24, 68, 119]),
    ],
)
def test_radial_bands_share_out_the_bins_of_the_published_grid(
    band_edges: BandEdges, expected: list[int]
) -> None:
    bands = BandSplit(IMAGENET_256.grid_sides, "fft", band_edges=band_edges)
    # An impulse has one of every bin.
    impulse = torch.zeros(1, 1, 16, 16)
    impulse[..., 0, 0] = 1
    spectra = [torch.fft.fft2(band).abs() for band in bands.split(impulse)]
    assert [int((spectrum > 0.5).sum()) for spectrum in spectra] == expected


def test_only_fixed_matrices_are_kept_and_none_in_a_checkpoint() -> None:
    bands = BandSplit((1, 2, 4), "dct")
    assert not list(bands.parameters())
    assert not bands.state_dict()
