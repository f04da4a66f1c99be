"""Laws of configs: they survive JSON, and what cannot be is refused."""

from __future__ import annotations

import json

import pytest

from nfig.config import PRESETS, ModelConfig, TokenizerConfig, TransformerConfig


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
