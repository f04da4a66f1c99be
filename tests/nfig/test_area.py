"""Laws of VAR's bands."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from nfig.area import AreaBands

SIDES = (1, 2, 3, 5, 8)

grid_sides = st.sets(st.integers(1, 12), min_size=1, max_size=6).map(sorted)
seeds = st.integers(0, 2**32)
laws = settings(max_examples=25, deadline=None)


@given(sides=grid_sides, value=st.floats(-10, 10))
@laws
def test_a_constant_keeps_its_value_on_every_grid(sides: list[int], value: float) -> None:
    bands = AreaBands(sides)
    latent = torch.full((1, 1, sides[-1], sides[-1]), value)
    for band, side in enumerate(sides):
        down = bands.down(band, latent)
        torch.testing.assert_close(down, torch.full((1, 1, side, side), value), atol=1e-4, rtol=0)
        torch.testing.assert_close(bands.up(band, down), latent, atol=1e-4, rtol=0)


@given(sides=grid_sides, seed=seeds)
@laws
def test_unrounded_bands_sum_to_the_latent(sides: list[int], seed: int) -> None:
    bands = AreaBands(sides)
    generator = torch.Generator().manual_seed(seed)
    latent = torch.randn(2, 3, sides[-1], sides[-1], generator=generator)
    targets = bands.exact_targets(latent)
    drawn = [bands.up(band, target) for band, target in enumerate(targets)]
    torch.testing.assert_close(sum(drawn), latent, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("band", range(len(SIDES)))
def test_the_matrices_are_area_averaging_and_bicubic_interpolation(band: int) -> None:
    bands = AreaBands(SIDES)
    latent, grid = torch.randn(2, 3, 8, 8), torch.randn(2, 3, SIDES[band], SIDES[band])
    area = F.interpolate(latent, size=SIDES[band], mode="area")
    torch.testing.assert_close(bands.down(band, latent), area)
    bicubic = F.interpolate(grid, size=8, mode="bicubic")
    torch.testing.assert_close(bands.up(band, grid), bicubic)


def test_every_band_is_to_come_near_the_whole_latent() -> None:
    bands = AreaBands(SIDES)
    latent = torch.randn(2, 3, 8, 8)
    first, *others = bands.split(latent)
    assert torch.equal(first, latent)
    assert all(not other.any() for other in others)


def test_only_fixed_matrices_are_kept_and_none_in_a_checkpoint() -> None:
    bands = AreaBands(SIDES)
    assert not list(bands.parameters())
    assert not bands.state_dict()
