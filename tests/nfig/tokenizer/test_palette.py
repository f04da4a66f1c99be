"""Laws of a decoder that mixes its pixels from the image's own colours."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nfig.config import TokenizerConfig
from nfig.tokenizer.palette import Palette, mix


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@given(st.integers(0, 2**31), st.floats(0.1, 30))
def test_a_pixel_is_a_mixture_and_never_outside_its_colours(seed: int, sharpness: float) -> None:
    colours = drawn(seed, 2, 3, 5)
    pixels = mix(sharpness * drawn(seed + 1, 2, 5, 4, 4), colours)
    assert pixels.shape == (2, 3, 4, 4)
    lowest, highest = (edge(dim=2)[..., None, None] for edge in (colours.amin, colours.amax))
    assert bool((pixels >= lowest - 1e-5).all() and (pixels <= highest + 1e-5).all())


def test_an_area_of_one_colour_is_flat_whatever_else_the_shares_say() -> None:
    shares = drawn(0, 1, 4, 8, 8)
    shares[:, 2] += 40
    colours = drawn(1, 1, 3, 4)
    pixels = mix(shares, colours)
    torch.testing.assert_close(pixels, colours[..., 2, None, None].expand_as(pixels))
    assert pixels.flatten(2).std(dim=2).max() < 1e-6


def test_colours_are_chosen_from_all_of_the_image() -> None:
    torch.manual_seed(0)
    palette = Palette(8, 4)
    features = drawn(2, 1, 8, 6, 6)
    moved = palette(features.roll((2, 3), (2, 3)))
    torch.testing.assert_close(moved, palette(features))
    features[:, :, 5, 5] += 3
    assert not torch.allclose(moved, palette(features))


@pytest.mark.parametrize("size", [-1, 1])
def test_a_palette_of_one_colour_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="palette_size"):
        TokenizerConfig(palette_size=size)
