"""Who learns from what when a tokenizer is trained."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nfig.config import ModelConfig
from nfig.data import LabelledImages
from nfig.tokenizer import FRVAE
from nfig.training import tokenizer_trainer
from nfig.training.tokenizer_trainer import TokenizerTask


def gradients(config: ModelConfig, data: LabelledImages) -> dict[str, Tensor | None]:
    torch.manual_seed(0)
    tokenizer = FRVAE(config.tokenizer)
    training, held_out = data.split(2)
    task = TokenizerTask(tokenizer, training=training, held_out=held_out, autocast=False)
    task.loss(torch.arange(8), progress=0.0).total.backward()
    return {name: parameter.grad for name, parameter in tokenizer.named_parameters()}


@pytest.mark.parametrize("quantization", ["frequency", "area"])
def test_every_part_has_a_gradient(config: ModelConfig, data: LabelledImages) -> None:
    found = gradients(config, data)
    phi = {name for name in found if name.startswith("quantizer.phi.")}
    assert bool(phi) == (config.tokenizer.quantization == "area")
    # Three bands use three of the four.
    silent = {name for name, gradient in found.items() if gradient is None}
    assert silent <= phi
    assert len(silent) == len(phi) / 4
    assert all(bool(found[name].any()) for name in phi - silent)  # type: ignore[union-attr]


@pytest.mark.parametrize("quantization", ["area"])
def test_phi_learns_from_the_pixels_too(
    config: ModelConfig, data: LabelledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = gradients(config, data)
    monkeypatch.setattr(tokenizer_trainer.TokenizerTask, "_phi_error", lambda *_: 0.0)
    pixels = gradients(config, data)
    (name, *_) = [name for name in both if name.startswith("quantizer.phi.")]
    one, other = both[name], pixels[name]
    assert one is not None and other is not None
    assert bool(other.any())
    assert not torch.equal(one, other)
