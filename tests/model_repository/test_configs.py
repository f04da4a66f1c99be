"""`config.pbtxt` and the clients' literals say what the contract says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from nfig.export.contract import (
    BATCH_SIZES,
    CONTRACTS,
    DECODER,
    ENCODER,
    NO_PREVIEW,
    TRANSFORMER,
    ModelContract,
)
from service.domain import ModelCard, Sampling
from service.engine import triton_engine
from service.engine.engine import Generation
from service.engine.fake_engine import FAKE_CARD

REPOSITORY = Path(__file__).parents[2] / "model_repository"


def config_of(contract: ModelContract) -> Any:
    text = (REPOSITORY / contract.name / "config.pbtxt").read_text()
    return text_format.Parse(text, model_config_pb2.ModelConfig())


def tensors(entries: Any) -> list[tuple[str, str, tuple[int, ...]]]:
    names = model_config_pb2.DataType
    return [(entry.name, names.Name(entry.data_type), tuple(entry.dims)) for entry in entries]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_config_and_contract_are_equal(contract: ModelContract) -> None:
    config = config_of(contract)
    assert config.name == contract.name
    assert config.backend == "python"
    assert config.max_batch_size == contract.max_batch_size
    assert config.model_transaction_policy.decoupled == contract.decoupled
    assert config.HasField("dynamic_batching")
    assert tensors(config.input) == [(s.name, s.dtype, s.dims) for s in contract.inputs]
    assert tensors(config.output) == [(s.name, s.dtype, s.dims) for s in contract.outputs]


def test_every_model_of_the_repository_has_a_contract() -> None:
    folders = {path.parent.name for path in REPOSITORY.glob("*/config.pbtxt")}
    assert folders == {contract.name for contract in CONTRACTS}


def test_the_decoder_has_the_priorities_that_the_engine_uses() -> None:
    batching = config_of(DECODER).dynamic_batching
    priorities = (triton_engine.FINAL_PRIORITY, triton_engine.PREVIEW_PRIORITY)
    assert priorities == (1, batching.priority_levels)


def test_the_engine_sends_the_tensors_of_the_contract() -> None:
    assert TRANSFORMER.name == triton_engine.TRANSFORMER
    assert DECODER.name == triton_engine.DECODER
    assert ENCODER.name == triton_engine.ENCODER
    sampling = Sampling(guidance_scale=1.0, top_k=0, top_p=1.0, temperature=1.0)
    generation = Generation(class_label=0, seed=1, image_index=0, sampling=sampling, bands=1)
    sent = {t.name(): (f"TYPE_{t.datatype()}", tuple(t.shape()[1:])) for t in _sent(generation)}
    assert sent["kept"] == ("TYPE_INT32", (sum(side**2 for side in FAKE_CARD.grid_sides),))
    sent["kept"] = ("TYPE_INT32", (-1,))
    assert sent == {spec.name: (spec.dtype, spec.dims) for spec in TRANSFORMER.inputs}
    for preview_of, band in ((None, NO_PREVIEW), (2, 2)):
        tensors = triton_engine._decoder_inputs(np.zeros((4, 8, 8), np.float32), preview_of)
        specs = [(tensor.name(), f"TYPE_{tensor.datatype()}") for tensor in tensors]
        assert specs == [(spec.name, spec.dtype) for spec in DECODER.inputs]
        assert [len(tensor.shape()) for tensor in tensors] == [4, 2]
        assert tensors[1]._get_content() == np.int32(band).tobytes()


def test_the_card_and_the_contract_agree_on_batch_sizes() -> None:
    assert ModelCard.__dataclass_fields__["batch_sizes"].default == BATCH_SIZES


def _sent(generation: Generation) -> Any:
    return triton_engine._inputs(generation, FAKE_CARD)
