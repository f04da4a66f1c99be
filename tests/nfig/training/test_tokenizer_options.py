"""A tokenizer's training remembers its options: the terms of its loss, its encoder's weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nfig import checkpoint
from nfig.config import ModelConfig
from nfig.data import LabelledImages
from nfig.tokenizer.dinov2 import read_dinov2
from nfig.tokenizer.vit import ViTEncoder
from nfig.training import runs
from nfig.training.options import TrainingOptions
from nfig.training.reporting import Reporter
from nfig.training.run_folder import RunFolder
from nfig.training.terms import LossTerms

OPTIONS = TrainingOptions(epochs=1, batch_size=8, learning_rate=1e-6, ema_decay=0.0)


@pytest.fixture
def dino(config: ModelConfig, tmp_path: Path) -> Path:
    wanted = dataclasses.replace(config.tokenizer, encoder="vit", vit_width=64, vit_depth=1)
    stored = ViTEncoder(wanted).state_dict()
    file = tmp_path / "dino.safetensors"
    save_file({name: value for name, value in stored.items() if "to_latent" not in name}, file)
    return file


def test_an_encoder_starts_from_given_weights_and_is_published(
    config: ModelConfig,
    data: LabelledImages,
    run: RunFolder,
    reporter: Reporter,
    dino: Path,
    tmp_path: Path,
) -> None:
    runs.train_tokenizer(
        config, data, run=run, options=OPTIONS, reporter=reporter, encoder_weights=dino
    )
    assert run.facts()["options"]["encoder_weights"] == read_dinov2(dino).digest
    runs.publish(run, tmp_path / "tokenizer")
    saved, tokenizer = checkpoint.load_tokenizer(tmp_path / "tokenizer")
    assert (saved.tokenizer.encoder, saved.tokenizer.vit_width) == ("vit", 64)
    found, given = tokenizer.encoder.state_dict(), read_dinov2(dino).weights
    # At such a rate it has hardly moved; the checkpoint is in 16 bit.
    assert all(torch.allclose(found[name], given[name], atol=1e-3) for name in given)
    with pytest.raises(ValueError, match="encoder_weights: the tokenizer of start_from"):
        runs.train_tokenizer(
            config,
            data,
            run=run,
            options=OPTIONS,
            reporter=reporter,
            encoder_weights=dino,
            start_from=tmp_path / "tokenizer",
        )


def test_terms_are_remembered_only_where_they_are_not_the_default(
    config: ModelConfig, data: LabelledImages, run: RunFolder, reporter: Reporter
) -> None:
    terms = LossTerms(latent=0.5)
    runs.train_tokenizer(config, data, run=run, options=OPTIONS, reporter=reporter, terms=terms)
    options = run.facts()["options"]
    assert options["latent"] == 0.5
    assert not {"pixel", "perceptual", "encoder_weights"} & set(options)
    with pytest.raises(ValueError, match="exists with other options"):
        runs.train_tokenizer(config, data, run=run, options=OPTIONS, reporter=reporter)
