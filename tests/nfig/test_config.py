"""Laws of configs: they survive JSON, and what cannot be is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from nfig.config import PRESETS, ModelConfig, TokenizerConfig, TransformerConfig

SHIPPED = Path(__file__).parents[2] / "checkpoints"


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_survives_json(name: str) -> None:
    preset = PRESETS[name]
    assert preset.name == name
    assert ModelConfig.from_json(preset.to_json()) == preset
    assert ModelConfig.from_dict(preset.to_dict()) == preset


def test_the_shipped_preset_has_the_stated_sizes() -> None:
    tokenizer = PRESETS["avatars-64"].tokenizer
    assert (tokenizer.image_size, tokenizer.latent_side, tokenizer.downsampling) == (64, 8, 8)
    assert (tokenizer.num_bands, tokenizer.num_tokens) == (5, 103)
    assert tokenizer.widths == (48, 96, 144)


@pytest.mark.parametrize(
    "config", sorted(SHIPPED.glob("*/config.json")), ids=lambda path: path.parent.name
)
def test_a_shipped_config_is_written_as_it_was_read(config: Path) -> None:
    """To the byte: the digest of a checkpoint covers it."""
    text = config.read_text(encoding="utf-8")
    assert ModelConfig.from_json(text).to_json() == text


@pytest.mark.parametrize("depth", [16, 20, 24, 30])
def test_var_has_its_published_shapes(depth: int) -> None:
    preset = PRESETS[f"var-d{depth}"]
    tokenizer, transformer, sampling = preset.tokenizer, preset.transformer, preset.sampling
    assert tokenizer.quantization == "area"
    assert tokenizer.grid_sides == (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)
    assert (tokenizer.num_tokens, tokenizer.codebook_size) == (680, 4096)
    assert (tokenizer.latent_channels, tokenizer.channels) == (32, 160)
    assert (tokenizer.channel_multipliers, tokenizer.num_res_blocks) == ((1, 1, 2, 2, 4), 2)
    assert (transformer.width, transformer.num_heads) == (64 * depth, depth)
    assert (transformer.head_width, transformer.num_classes) == (64, 1000)
    assert (sampling.guidance_scale, sampling.top_k, sampling.top_p) == (1.5, 900, 0.96)


@pytest.mark.parametrize(
    ("nfig", "var"),
    [("avatars-64", "avatars-64-var"), *((f"nfig-d{d}", f"var-d{d}") for d in (16, 20, 24, 30))],
)
def test_a_twin_differs_in_its_quantization_alone(nfig: str, var: str) -> None:
    one, other = PRESETS[nfig], PRESETS[var]
    assert other.tokenizer == dataclasses.replace(one.tokenizer, quantization="area")
    assert other.transformer == one.transformer


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"quantization": "pixels"}, "quantization"),
        ({"basis": "wavelet"}, "basis"),
        ({"band_edges": "soft"}, "band_edges"),
        ({"band_edges": "literal"}, "band_edges"),
        ({"band_edges": "literal", "quantization": "area"}, "band_edges"),
        ({"basis": "fft", "quantization": "area"}, "basis"),
    ],
)
def test_ways_to_cut_that_do_not_exist_are_refused(options: dict[str, str], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        TokenizerConfig(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"preview_channels": -2},
        {"preview_channels": 6},
        {"preview_channels": 8, "grid_sides": (8,)},
        {"preview_channels": 8, "image_size": 16, "channel_multipliers": (1,)},
    ],
)
def test_preview_decoders_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="preview_channels"):
        TokenizerConfig(**options)


def test_a_model_without_a_preview_decoder_says_nothing_of_one() -> None:
    preset = PRESETS["avatars-64"]
    assert "preview" not in preset.to_json()
    tokenizer = dataclasses.replace(preset.tokenizer, preview_channels=64)
    with_one = dataclasses.replace(preset, tokenizer=tokenizer)
    assert '"preview_channels": 64' in with_one.to_json()
    assert ModelConfig.from_json(with_one.to_json()) == with_one


@pytest.mark.parametrize("part", ["", "tokenizer", "transformer", "sampling"])
def test_unknown_keys_are_refused(part: str) -> None:
    values = json.loads(PRESETS["avatars-64"].to_json())
    (values[part] if part else values)["colour"] = 1
    with pytest.raises(ValueError, match="colour"):
        ModelConfig.from_json(json.dumps(values))


@pytest.mark.parametrize("grid_sides", [(0, 8), (2, 2, 8), (8, 4)])
def test_grid_sides_that_do_not_rise_are_refused(grid_sides: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="grid_sides"):
        TokenizerConfig(grid_sides=grid_sides)


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="image_size"):
        TokenizerConfig(image_size=65)
    with pytest.raises(ValueError, match="num_heads"):
        TransformerConfig(width=100, num_heads=3)
    with pytest.raises(ValueError, match="class_names"):
        ModelConfig(name="x", class_names=("one",))
