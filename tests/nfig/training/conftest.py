"""A model and a data set small enough to train within a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nfig.config import ModelConfig, Quantization, TokenizerConfig, TransformerConfig
from nfig.data import LabelledImages
from nfig.training.reporting import Reporter
from nfig.training.run_folder import RunFolder


@pytest.fixture
def quantization() -> Quantization:
    """That of `config`; a test that wants both says so."""
    return "frequency"


@pytest.fixture
def config(quantization: Quantization) -> ModelConfig:
    return ModelConfig(
        name="tiny",
        tokenizer=TokenizerConfig(
            quantization=quantization,
            image_size=16,
            grid_sides=(1, 2, 4),
            codebook_size=32,
            latent_channels=4,
            channels=16,
            channel_multipliers=(1, 1),
            patch_side=2,
        ),
        transformer=TransformerConfig(depth=2, width=32, num_heads=2, num_classes=2),
    )


@pytest.fixture
def data() -> LabelledImages:
    """Discs on plain grounds: class 0 is reddish, class 1 bluish."""
    generator = np.random.default_rng(0)
    labels = np.arange(24, dtype=np.int64) % 2
    y, x = np.mgrid[:16, :16]
    pixels = np.zeros((24, 16, 16, 3), dtype=np.uint8)
    for index, label in enumerate(labels):
        ground, disc = generator.integers(150, 256), generator.integers(0, 100)
        inside = np.hypot(y - generator.integers(5, 11), x - generator.integers(5, 11)) < 4
        pixels[index, ..., 2 * label] = np.where(inside, disc, ground)
    return LabelledImages(pixels=pixels, labels=labels, class_names=("red", "blue"))


@pytest.fixture
def reporter() -> Reporter:
    return Reporter("test", quiet=True)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder("run", root=tmp_path / "runs")
