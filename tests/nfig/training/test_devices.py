"""Trainers put what they compute with where the weights are.

Meta is torch's shapes-only device: it computes nothing, but most of its operations refuse tensors
from elsewhere, as a GPU would.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from unittest import mock

import pytest
import torch
from torch import Tensor

from nfig.config import ModelConfig
from nfig.data import LabelledImages
from nfig.model import NFIGModel
from nfig.tokenizer import FRVAE
from nfig.training import codebook, transformer_trainer
from nfig.training.adversary import Adversary
from nfig.training.devices import device_named, device_of
from nfig.training.options import TrainingOptions
from nfig.training.terms import LossTerms
from nfig.training.tokenizer_trainer import TokenizerTask
from nfig.training.transformer_trainer import TransformerTask


@contextlib.contextmanager
def shapes_only() -> Iterator[None]:
    """Numbers that the host asks for are 1, and what meta cannot do is left out."""
    with (
        mock.patch.object(Tensor, "item", lambda _: 1.0),
        mock.patch.object(Tensor, "__float__", lambda _: 1.0),
        mock.patch.object(codebook.CodebookLearner, "_revive"),
        mock.patch.object(torch, "bincount", lambda x, minlength: x.new_zeros(minlength)),
        mock.patch.object(torch, "autocast", lambda *_, **__: contextlib.nullcontext()),
    ):
        yield


def test_a_tokenizers_step_leaves_nothing_behind(config: ModelConfig, data: LabelledImages) -> None:
    tokenizer = FRVAE(config.tokenizer).to("meta")
    training, held_out = data.split(2)
    task = TokenizerTask(
        tokenizer,
        training=training,
        held_out=held_out,
        autocast=True,
        terms=LossTerms(latent=1),
    )
    with shapes_only():
        loss = task.loss(torch.arange(8), progress=0.5)
        loss.total.backward()
    assert loss.total.device.type == task.codebook.sums_VC.device.type == "meta"


def test_a_transformers_step_leaves_nothing_behind(
    config: ModelConfig,
    data: LabelledImages,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokens = torch.zeros(20, config.tokenizer.num_tokens, dtype=torch.int16)
    monkeypatch.setattr(transformer_trainer, "cached_tokens", lambda *_: [tokens, tokens[:4]])
    training, held_out = data.split(2)
    task = TransformerTask(
        NFIGModel(config).to("meta"), training=training, held_out=held_out, autocast=True
    )
    with shapes_only():
        loss = task.loss(torch.arange(8), progress=0.5)
        loss.total.backward()
        assert set(task.evaluate(task.transformer)) >= {"loss", "loss_band_0"}
    assert loss.total.device.type == "meta"


def test_an_adversary_judges_where_it_is_told() -> None:
    images = torch.zeros(2, 3, 64, 64, device="meta")
    adversary = Adversary(autocast=True, device="meta")
    with shapes_only():
        adversary.learn(images, images)
        assert adversary.loss(images, images).device.type == "meta"


def test_a_name_is_a_device_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_named("cpu") == device_named("auto") == torch.device("cpu")
    assert device_of(torch.nn.Linear(1, 1)) == torch.device("cpu")
    with pytest.raises(ValueError, match="device: torch sees no GPU"):
        device_named("cuda")
    with pytest.raises(ValueError, match="device must be one of cpu, cuda, auto"):
        TrainingOptions(epochs=1, device="tpu")


def test_each_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    taken: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert device_named("auto") == device_named("cuda") == torch.device("cuda", 3)
    assert taken == [torch.device("cuda", 3)] * 2
    assert device_named("cpu") == torch.device("cpu")
