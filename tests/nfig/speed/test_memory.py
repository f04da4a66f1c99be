"""What a model takes is near what is computed: no weight is held twice, or ever in float32."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch

from nfig.building import random_model, without_weights
from nfig.config import PRESETS, ModelConfig, TransformerConfig
from nfig.model import NFIGModel
from nfig.speed.memory import measure_growth, memory_budget

CONFIG = replace(
    PRESETS["avatars-64"],
    transformer=TransformerConfig(depth=8, width=1024, num_heads=16, num_classes=16),
)
"""Weights of 300 MB in bfloat16, so that what the libraries take is little beside them."""


def budget(config: ModelConfig) -> int:
    with without_weights():
        model = NFIGModel(config).to(torch.bfloat16)
    return memory_budget(model, config, batch_size=1, dtype=torch.bfloat16).total


@pytest.mark.skipif(sys.platform == "win32", reason="no peak of a process is known there")
def test_a_process_grows_by_little_more_than_is_computed() -> None:
    grown = measure_growth(CONFIG, batch_size=1, dtype="bf16", device="cpu")
    # Libraries take a hundred megabytes of their own; weights in float32 would be 2.
    assert grown < 1.6 * budget(CONFIG)


def test_weights_begin_without_memory_and_in_their_dtype() -> None:
    small = replace(PRESETS["avatars-64"], name="small")
    with without_weights():
        model = NFIGModel(small)
    assert all(parameter.is_meta for parameter in model.parameters())
    assert not any(buffer.is_meta for buffer in model.buffers())
    made = random_model(small, device=torch.device("cpu"), dtype="bf16")
    assert made.transformer.word.weight.dtype == torch.bfloat16
    assert made.transformer.head.weight.dtype == torch.float32
    assert all(parameter.isfinite().all() for parameter in made.parameters())
    assert not torch.nn.Linear(2, 2).weight.is_meta
