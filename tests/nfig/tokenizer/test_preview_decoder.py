"""Laws of previews, with random weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nfig import checkpoint
from nfig.config import IMAGENET_256, PRESETS, Basis, Quantization, TokenizerConfig
from nfig.tokenizer import FRVAE
from nfig.tokenizer.preview_decoder import PreviewDecoder

CONFIG = TokenizerConfig(
    image_size=24,
    grid_sides=(1, 2, 4, 6),
    codebook_size=64,
    latent_channels=5,
    channels=8,
    channel_multipliers=(1, 2),
    patch_side=2,
    preview_channels=8,
)
WAYS: list[tuple[Quantization, Basis]] = [
    ("frequency", "dct"),
    ("frequency", "fft"),
    ("area", "dct"),
]


@pytest.fixture(scope="module", params=WAYS, ids="-".join)
def tokenizer(request: pytest.FixtureRequest) -> FRVAE:
    quantization, basis = request.param
    torch.manual_seed(0)
    config = dataclasses.replace(CONFIG, quantization=quantization, basis=basis)
    return awake(FRVAE(config)).eval()


@torch.no_grad()
def awake(tokenizer: FRVAE) -> FRVAE:
    """Residual blocks that do something, which new ones do not."""
    for parameter in tokenizer.parameters():
        parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return tokenizer


@torch.no_grad()
@settings(max_examples=20, deadline=None)
@given(
    sides=st.sets(st.integers(1, 16), min_size=2, max_size=5).map(sorted),
    multipliers=st.sampled_from([(1, 2), (1, 1, 2)]),
)
def test_a_preview_is_as_wide_as_its_band_and_shown_as_wide_as_the_image(
    sides: list[int], multipliers: tuple[int, ...]
) -> None:
    factor = 2 ** len(multipliers)
    config = dataclasses.replace(
        CONFIG,
        grid_sides=tuple(sides),
        image_size=sides[-1] * factor,
        channel_multipliers=multipliers,
    )
    decoder = PreviewDecoder(config).eval()
    canvas = torch.randn(2, 5, sides[-1], sides[-1])
    for band, side in enumerate(sides[:-1]):
        small = decoder(band, canvas)
        assert small.shape == (2, 3, side * factor, side * factor)
        assert decoder.enlarge(band, small).shape == (2, 3, config.image_size, config.image_size)


@torch.no_grad()
def test_the_published_sizes_have_previews() -> None:
    config = dataclasses.replace(IMAGENET_256, preview_channels=16)
    decoder = PreviewDecoder(config).eval()
    for band in (0, 5, 8):
        small = decoder(band, torch.randn(1, 32, 16, 16))
        assert small.shape[-1] == config.grid_sides[band] * 16


@torch.no_grad()
def test_a_row_is_the_same_beside_any_neighbours(tokenizer: FRVAE) -> None:
    canvas = torch.randn(6, 5, 6, 6)
    for band in range(4):
        together = tokenizer.preview(band, canvas)
        assert together.shape == (6, 3, 24, 24)
        assert together.abs().max() <= 1
        for rows in (1, 2, 3, 5):
            assert torch.equal(tokenizer.preview(band, canvas[:rows]), together[:rows])
        assert torch.equal(tokenizer.preview(band, canvas[4:5]), together[4:5])


@torch.no_grad()
def test_the_last_band_and_a_model_without_one_show_the_decoders_picture() -> None:
    torch.manual_seed(0)
    tokenizer, canvas = awake(FRVAE(CONFIG)).eval(), torch.randn(3, 5, 6, 6)
    decoded = tokenizer.decode_canvas(canvas)
    assert torch.equal(tokenizer.preview(3, canvas), decoded)
    assert not torch.equal(tokenizer.preview(2, canvas), decoded)
    tokenizer.preview_decoder = None
    assert torch.equal(tokenizer.preview(2, canvas), decoded)


@torch.no_grad()
def test_a_preview_sees_its_band_and_nothing_finer() -> None:
    """Where bands are cut by DCT, the canvas is decoded on the grid of the band itself."""
    torch.manual_seed(0)
    tokenizer = awake(FRVAE(CONFIG)).eval()
    bands, canvas = tokenizer.quantizer.bands, torch.randn(2, 5, 6, 6)
    for band in range(3):
        coarse = bands.up(band, bands.down(band, canvas))
        shown = tokenizer.preview(band, canvas)
        torch.testing.assert_close(tokenizer.preview(band, coarse), shown, atol=1e-4, rtol=1e-4)
        assert not torch.allclose(tokenizer.preview(band, coarse + 0.5), shown, atol=1e-2)


@torch.no_grad()
def test_what_is_shrunk_and_enlarged_is_the_nearest_of_its_size(tokenizer: FRVAE) -> None:
    decoder, images = tokenizer.preview_decoder, torch.rand(2, 3, 24, 24)
    assert decoder is not None
    for band in range(3):
        small = decoder.shrink(band, images)
        rest = images - decoder.enlarge(band, small)
        for _ in range(3):
            other = decoder.enlarge(band, torch.randn_like(small))
            torch.testing.assert_close((rest * other).sum(), torch.tensor(0.0), atol=1e-3, rtol=0)
        torch.testing.assert_close(decoder.shrink(band, decoder.enlarge(band, small)), small)


def test_having_none_changes_no_weight_and_having_one_no_other() -> None:
    torch.manual_seed(0)
    without = FRVAE(dataclasses.replace(CONFIG, preview_channels=0))
    after = torch.rand(1)
    torch.manual_seed(0)
    tokenizer = FRVAE(CONFIG)
    assert torch.equal(torch.rand(1), after)
    weights, names = tokenizer.state_dict(), set(without.state_dict())
    assert all(torch.equal(value, weights[name]) for name, value in without.state_dict().items())
    added = set(weights) - names
    assert added
    assert all(name.startswith("preview_decoder.") for name in added)


def test_a_preset_with_one_is_saved_and_loaded(tmp_path: Path) -> None:
    preset = PRESETS["avatars-64"]
    tokenizer_config = dataclasses.replace(preset.tokenizer, preview_channels=4)
    config = dataclasses.replace(preset, tokenizer=tokenizer_config)
    digest = checkpoint.save_tokenizer(config, FRVAE(tokenizer_config), tmp_path / "one")
    loaded_config, loaded = checkpoint.load_tokenizer(tmp_path / "one")
    assert loaded_config == config
    assert checkpoint.save_tokenizer(loaded_config, loaded, tmp_path / "two") == digest
