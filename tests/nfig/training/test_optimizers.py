"""Muon takes the matrices inside blocks, AdamW all else, and each parameter has one of them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nfig.config import ModelConfig
from nfig.model import NFIGModel
from nfig.training.optimizers import Optimizers
from nfig.training.options import TrainingOptions


def some_options(optimizer: str) -> TrainingOptions:
    return TrainingOptions(epochs=1, optimizer=optimizer, weight_decay=0.0, learning_rate=1e-2)


def stepped(module: nn.Module, optimizers: Optimizers, *, seed: int) -> None:
    """One step with gradients that are noise."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    optimizers.step(learning_rate=1e-2)


@pytest.fixture
def transformer(config: ModelConfig) -> nn.Module:
    torch.manual_seed(0)
    return NFIGModel(config).transformer


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_every_parameter_is_stepped(transformer: nn.Module, optimizer: str) -> None:
    before = [parameter.detach().clone() for parameter in transformer.parameters()]
    stepped(transformer, Optimizers(transformer, some_options(optimizer)), seed=1)
    for old, new in zip(before, transformer.parameters(), strict=True):
        assert not torch.equal(old, new)


def test_the_steps_of_muon_are_near_orthogonal_and_those_of_adamw_are_not(
    transformer: nn.Module,
) -> None:
    weight = transformer.get_submodule("blocks.0.expand").weight
    assert isinstance(weight, nn.Parameter)
    spread = {}
    for optimizer in ("adamw", "muon"):
        before = weight.detach().clone()
        stepped(transformer, Optimizers(transformer, some_options(optimizer)), seed=2)
        lengths = torch.linalg.svdvals(weight.detach() - before)
        spread[optimizer] = (lengths.max() / lengths.min()).item()
    assert spread["muon"] < 2 < spread["adamw"]


def test_its_state_is_all_of_it(config: ModelConfig) -> None:
    modules = []
    for resumed in (False, True):
        torch.manual_seed(0)
        module = NFIGModel(config).transformer
        optimizers = Optimizers(module, some_options("muon"))
        stepped(module, optimizers, seed=3)
        if resumed:
            state = optimizers.state_dict()
            optimizers = Optimizers(module, some_options("muon"))
            optimizers.load_state_dict(state)
        stepped(module, optimizers, seed=4)
        modules.append(module)
    for one, other in zip(*(module.parameters() for module in modules), strict=True):
        assert torch.equal(one, other)


def test_bad_choices_are_named(config: ModelConfig) -> None:
    with pytest.raises(ValueError, match="optimizer must be one of adamw, muon: 'sgd'"):
        some_options("sgd")
    with pytest.raises(ValueError, match="optimizer: muon is for transformers"):
        Optimizers(NFIGModel(config).tokenizer, some_options("muon"))
