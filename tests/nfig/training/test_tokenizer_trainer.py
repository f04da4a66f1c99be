"""Who learns from what when a tokenizer is trained."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nfig.config import ModelConfig
from nfig.data import LabelledImages
from nfig.tokenizer import FRVAE
from nfig.training import tokenizer_trainer
from nfig.training.perceptual import MobileNetFeatures, PerceptualDistance
from nfig.training.terms import LossTerms
from nfig.training.tokenizer_trainer import TokenizerTask


def gradients(
    config: ModelConfig, data: LabelledImages, terms: LossTerms | None = None
) -> dict[str, Tensor | None]:
    torch.manual_seed(0)
    tokenizer = FRVAE(config.tokenizer)
    training, held_out = data.split(2)
    task = TokenizerTask(
        tokenizer, training=training, held_out=held_out, autocast=False, terms=terms
    )
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


def moved(one: dict[str, Tensor | None], other: dict[str, Tensor | None]) -> set[str]:
    """The parts (encoder, quantizer, decoder) whose gradients differ."""

    def same(name: str) -> bool:
        ours, theirs = one[name], other[name]
        if ours is None or theirs is None:
            return ours is theirs
        return torch.equal(ours, theirs)

    return {name.split(".")[0] for name in one if not same(name)}


@pytest.mark.parametrize("quantization", ["frequency", "area"])
def test_the_latents_term_pulls_at_what_makes_latent_and_canvas(
    config: ModelConfig, data: LabelledImages
) -> None:
    plain = gradients(config, data)
    found = moved(plain, gradients(config, data, LossTerms(latent=1)))
    wanted = {"encoder"}
    assert found == (
        wanted if config.tokenizer.quantization == "frequency" else wanted | {"quantizer"}
    )
    assert not moved(plain, gradients(config, data, LossTerms()))


def test_the_perceptual_term_pulls_at_the_decoder(
    config: ModelConfig, data: LabelledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = gradients(config, data)
    distance = PerceptualDistance(MobileNetFeatures(), autocast=False)
    monkeypatch.setattr(tokenizer_trainer, "load_perceptual", lambda **_: distance)
    assert moved(plain, gradients(config, data, LossTerms(perceptual=1))) == {"encoder", "decoder"}


def test_without_pixels_the_decoder_learns_nothing(
    config: ModelConfig, data: LabelledImages
) -> None:
    found = gradients(config, data, LossTerms(pixel=0))
    assert not any(
        bool(value.any())
        for name, value in found.items()
        if value is not None and name.startswith("decoder.")
    )


@pytest.mark.parametrize("name", ["pixel", "latent", "perceptual"])
def test_a_weight_below_0_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be 0 or more"):
        LossTerms(**{name: -1.0})
