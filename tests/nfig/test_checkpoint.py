"""Laws of checkpoints on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nfig import checkpoint
from nfig.config import ModelConfig, TokenizerConfig, TransformerConfig
from nfig.model import NFIGModel

CONFIG = ModelConfig(
    name="tiny",
    tokenizer=TokenizerConfig(
        image_size=8,
        grid_sides=(1, 2),
        codebook_size=16,
        latent_channels=3,
        channels=8,
        channel_multipliers=(1, 1),
        patch_side=2,
    ),
    transformer=TransformerConfig(depth=1, width=8, num_heads=2, num_classes=2),
)


@pytest.fixture(scope="module")
def model() -> NFIGModel:
    torch.manual_seed(0)
    return NFIGModel(CONFIG)


def test_a_checkpoint_survives_saving_and_loading(model: NFIGModel, tmp_path: Path) -> None:
    digest = checkpoint.save(model, tmp_path / "a", card="# Tiny\n")
    loaded = checkpoint.load(tmp_path / "a")
    assert loaded.config == CONFIG
    assert not loaded.training
    for name, value in loaded.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, model.state_dict()[name].half().float())
    # 16 bit lose nothing the second time.
    assert checkpoint.save(loaded, tmp_path / "b") == digest == checkpoint.digest(tmp_path / "a")
    assert (tmp_path / "a" / checkpoint.CARD).read_text() == "# Tiny\n"


def test_weights_take_two_bytes_each(model: NFIGModel, tmp_path: Path) -> None:
    checkpoint.save(model, tmp_path)
    stored = load_file(tmp_path / checkpoint.WEIGHTS)
    assert {value.dtype for value in stored.values()} == {torch.float16}


def test_the_digest_is_of_config_and_weights_alone(model: NFIGModel, tmp_path: Path) -> None:
    digest = checkpoint.save(model, tmp_path)
    (tmp_path / checkpoint.CARD).write_text("another card")
    assert checkpoint.digest(tmp_path) == digest
    config = (tmp_path / checkpoint.CONFIG).read_text()
    (tmp_path / checkpoint.CONFIG).write_text(config.replace("tiny", "tony"))
    assert checkpoint.digest(tmp_path) != digest


def test_one_changed_weight_changes_the_digest(model: NFIGModel, tmp_path: Path) -> None:
    digest = checkpoint.save(model, tmp_path)
    stored = load_file(tmp_path / checkpoint.WEIGHTS)
    next(iter(stored.values())).view(-1)[0] += 1
    save_file(stored, tmp_path / checkpoint.WEIGHTS)
    assert checkpoint.digest(tmp_path) != digest


def test_a_tokenizer_alone_can_be_saved_but_not_drawn_with(
    model: NFIGModel, tmp_path: Path
) -> None:
    checkpoint.save_tokenizer(CONFIG, model.tokenizer, tmp_path)
    config, tokenizer = checkpoint.load_tokenizer(tmp_path)
    assert config == CONFIG
    for name, value in tokenizer.state_dict().items():
        assert torch.equal(value, model.tokenizer.state_dict()[name].half().float())
    with pytest.raises(ValueError, match="tokenizer alone"):
        checkpoint.load(tmp_path)


def test_the_tokenizer_of_a_whole_checkpoint_can_be_taken(model: NFIGModel, tmp_path: Path) -> None:
    checkpoint.save(model, tmp_path)
    _, tokenizer = checkpoint.load_tokenizer(tmp_path)
    assert tokenizer.config == CONFIG.tokenizer


def test_what_is_not_a_whole_checkpoint_is_refused(model: NFIGModel, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"config\.json is missing"):
        checkpoint.load(tmp_path)
    checkpoint.save(model, tmp_path)
    (tmp_path / checkpoint.WEIGHTS).write_bytes(b"damaged")
    with pytest.raises(ValueError, match="damaged"):
        checkpoint.load(tmp_path)
    (tmp_path / checkpoint.CONFIG).write_text("{")
    with pytest.raises(ValueError, match="config"):
        checkpoint.load(tmp_path)


def test_weights_of_another_config_are_refused(model: NFIGModel, tmp_path: Path) -> None:
    checkpoint.save(model, tmp_path)
    config = (tmp_path / checkpoint.CONFIG).read_text()
    (tmp_path / checkpoint.CONFIG).write_text(config.replace('"depth": 1', '"depth": 2'))
    with pytest.raises(ValueError, match="do not fit"):
        checkpoint.load(tmp_path)


def test_weights_that_16_bit_cannot_hold_are_refused(model: NFIGModel, tmp_path: Path) -> None:
    too_large = NFIGModel(CONFIG)
    too_large.tokenizer.quantizer.codebook_VC[0, 0] = 1e6
    with pytest.raises(ValueError, match="codebook_VC"):
        checkpoint.save(too_large, tmp_path)
    assert not (tmp_path / checkpoint.WEIGHTS).exists()
