"""The three `model.py` files, run without Triton: what must hold when something goes wrong inside.

Triton's module exists only in its own process, so a twin of the few names that are used stands in.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nfig.export.contract import NO_PREVIEW, TRANSFORMER
from nfig.generation import NO_TOKEN

REPOSITORY = Path(__file__).parents[2] / "model_repository"
FINAL = 1
NUM_TOKENS = 1 + 4 + 9 + 16 + 36 + 64
"""Of all bands of the tiny model."""


@dataclass
class TwinSender:
    sent: list[tuple[Any, int]] = field(default_factory=list)

    def send(self, response: Any = None, flags: int = 0) -> None:
        assert not any(past == FINAL for _, past in self.sent), "sent after the final flag"
        assert response is not None or flags == FINAL
        self.sent.append((response, flags))


class TwinRequest:
    def __init__(self, tensors: dict[str, np.ndarray[Any, Any]]) -> None:
        self.tensors = tensors
        self.sender = TwinSender()
        self.cancelled_after = 10**6

    def get_response_sender(self) -> TwinSender:
        return self.sender

    def is_cancelled(self) -> bool:
        return len(self.sender.sent) >= self.cancelled_after

    @property
    def bands(self) -> list[int]:
        return [r.tensors["band"].item() for r, _ in self.sender.sent if r and not r.error]

    @property
    def error(self) -> str | None:
        return next((str(r.error) for r, _ in self.sender.sent if r and r.error), None)

    @property
    def num_finals(self) -> int:
        return sum(flags == FINAL for _, flags in self.sender.sent)


class TwinMetricFamily:
    COUNTER, GAUGE, HISTOGRAM = 0, 1, 2

    def __init__(self, *, name: str, description: str, kind: int) -> None:
        assert name.startswith("nfig_")
        assert description
        self.name = name
        self.kind = kind

    def Metric(self, *, labels: dict[str, str], buckets: Sequence[float] = ()) -> Any:
        assert (self.kind == self.HISTOGRAM) == bool(buckets)
        assert list(buckets) == sorted(buckets)

        def note(value: float) -> None:
            NOTED.append((self.name, labels, value))

        return SimpleNamespace(observe=note, increment=note, set=note)


NOTED: list[tuple[str, dict[str, str], float]] = []
"""What all series were told: name, labels, value."""


def noted(name: str) -> list[tuple[dict[str, str], float]]:
    return [(labels, value) for each, labels, value in NOTED if each == name]


class TwinError(Exception):
    INVALID_ARG, INTERNAL = "INVALID_ARG", "INTERNAL"

    def __init__(self, message: str, code: str) -> None:
        super().__init__(f"{code}: {message}")


def twin_backend() -> ModuleType:
    module = ModuleType("triton_python_backend_utils")

    def tensor(name: str, values: Any) -> Any:
        return SimpleNamespace(name=name, as_numpy=lambda: values)

    def response(output_tensors: Any = (), error: Any = None) -> Any:
        tensors = {each.name: each.as_numpy() for each in output_tensors}
        return SimpleNamespace(tensors=tensors, error=error)

    module.__dict__.update(
        TRITONSERVER_RESPONSE_COMPLETE_FINAL=FINAL,
        MetricFamily=TwinMetricFamily,
        TritonError=TwinError,
        Tensor=tensor,
        InferenceResponse=response,
        get_input_tensor_by_name=lambda request, name: tensor(name, request.tensors[name]),
    )
    return module


@pytest.fixture(scope="module")
def load(tiny_repository: Path) -> Iterator[Callable[[str], Any]]:
    def load_model(name: str) -> Any:
        path = REPOSITORY / name / "1" / "model.py"
        spec = importlib.util.spec_from_file_location(f"{name}_model", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        model = module.TritonPythonModel()
        folder = str(tiny_repository / name)
        model.initialize(
            {"model_repository": folder, "model_version": "1", "model_instance_kind": "CPU"}
        )
        return model

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "triton_python_backend_utils", twin_backend())
        yield load_model


@pytest.fixture(scope="module")
def loaded_transformer(load: Callable[[str], Any]) -> Any:
    return load("nfig_transformer")


@pytest.fixture
def transformer(loaded_transformer: Any) -> Any:
    NOTED.clear()
    return loaded_transformer


def a_request(*, kept: Sequence[int] = (), **changes: Any) -> TwinRequest:
    fields = {
        "class_label": 1,
        "seed": 7,
        "image_index": 0,
        "guidance_scale": 1.5,
        "top_k": 0,
        "top_p": 1.0,
        "temperature": 1.0,
        "bands": 3,
        **changes,
    }
    dtypes = {"TYPE_INT64": np.int64, "TYPE_FP64": np.float64}
    tensors = {
        s.name: np.array([[fields[s.name]]], dtypes[s.dtype])
        for s in TRANSFORMER.inputs
        if s.name != "kept"
    }
    return TwinRequest({**tensors, "kept": kept_of(kept)})


def kept_of(kept: Sequence[int]) -> np.ndarray[Any, Any]:
    """The tensor of a request that gives these tokens."""
    tensor = np.full((1, NUM_TOKENS), NO_TOKEN, np.int32)
    tensor[0, : len(kept)] = kept
    return tensor


def test_each_request_gets_its_bands_and_one_final_flag(transformer: Any) -> None:
    short, long = a_request(bands=1), a_request(bands=4)
    transformer.execute([short, long])
    assert (short.bands, long.bands) == ([0], [0, 1, 2, 3])
    assert short.num_finals == long.num_finals == 1
    bands = [labels["band"] for labels, _ in noted("nfig_band_latency_seconds")]
    assert bands == ["0", "1", "2", "3"]


def test_the_responses_carry_the_tensors_of_the_contract(transformer: Any) -> None:
    request = a_request()
    transformer.execute([request])
    dtypes = {"TYPE_FP32": "f4", "TYPE_INT32": "i4", "TYPE_FP64": "f8", "TYPE_STRING": "O"}
    for response, _ in request.sender.sent:
        assert sorted(response.tensors) == sorted(spec.name for spec in TRANSFORMER.outputs)
        for spec in TRANSFORMER.outputs:
            values = response.tensors[spec.name]
            assert values.dtype == np.dtype(dtypes[spec.dtype]), spec.name
            assert values.shape[0] == 1
            assert len(values.shape) == 1 + len(spec.dims)


def test_a_bad_request_is_told_and_its_neighbours_are_drawn(transformer: Any) -> None:
    bad, good = a_request(class_label=99), a_request()
    long_seed = a_request()
    long_seed.tensors["seed"] = np.zeros((1, 2), np.int64)
    transformer.execute([bad, good, long_seed])
    assert "INVALID_ARG: class_label" in (bad.error or "")
    assert "INVALID_ARG: seed must have shape" in (long_seed.error or "")
    assert good.bands == [0, 1, 2]
    assert [r.num_finals for r in (bad, good, long_seed)] == [1, 1, 1]


def test_bands_that_are_given_are_answered_as_they_are(transformer: Any) -> None:
    plain, varied, all_kept = a_request(), a_request(kept=range(5)), a_request(kept=[9] * 130)
    transformer.execute([plain, varied, all_kept])
    tokens = [r.tensors["tokens"][0].tolist() for r, _ in varied.sender.sent if r]
    assert tokens[:2] == [[0], [1, 2, 3, 4]]
    assert all_kept.bands == varied.bands == plain.bands == [0, 1, 2]
    assert {t for r, _ in all_kept.sender.sent if r for t in r.tensors["tokens"].ravel()} == {9}


@pytest.mark.parametrize(
    ("kept", "complaint"),
    [
        (kept_of(range(3)), "kept must be whole bands"),
        (kept_of([-1, 0, 0, 0, 0]), "kept must be whole bands"),
        (kept_of([64]), r"kept\[0\] must be"),
        (kept_of([-2]), r"kept\[0\] must be"),
        (kept_of([0])[:, :-1], "kept must have shape"),
        (np.concatenate([kept_of([0])] * 2), "kept must have shape"),
    ],
    ids=["half a band", "a hole", "too large", "too small", "too short", "two rows"],
)
def test_bands_that_cannot_be_kept_are_refused_by_name(
    transformer: Any, kept: np.ndarray[Any, Any], complaint: str
) -> None:
    bad, good = a_request(), a_request()
    bad.tensors["kept"] = kept
    transformer.execute([bad, good])
    assert re.match(f"INVALID_ARG: {complaint}", bad.error or "")
    assert good.bands == [0, 1, 2]


def test_the_encoder_answers_each_request_in_its_place(load: Callable[[str], Any]) -> None:
    encoder = load("nfig_encoder")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    requests = [TwinRequest({"pixels": p}) for p in (pixels[:1], pixels[:, :16], pixels[1:])]
    one, misshapen, two = encoder.execute(requests)
    assert "INVALID_ARG: pixels" in str(misshapen.error)
    alone = [encoder.encoder.encode(pixels[row : row + 1]) for row in range(3)]
    assert one.tensors["tokens"].shape == (1, NUM_TOKENS)
    assert one.tensors["tokens"].dtype == np.int32
    np.testing.assert_array_equal(one.tensors["tokens"], alone[0])
    np.testing.assert_array_equal(two.tensors["tokens"], np.concatenate(alone[1:]))
    assert two.tensors["digest"].shape == (2, 1)


def test_a_cancelled_request_is_drawn_no_further(transformer: Any) -> None:
    leaves, stays = a_request(bands=5), a_request(bands=4)
    leaves.cancelled_after = 2
    transformer.execute([leaves, stays])
    assert (leaves.bands, stays.bands) == ([0, 1], [0, 1, 2, 3])
    assert leaves.num_finals == stays.num_finals == 1


def test_a_batch_that_everybody_cancelled_ends(transformer: Any) -> None:
    requests = [a_request(bands=5), a_request(bands=5)]
    for request in requests:
        request.cancelled_after = 1
    transformer.execute(requests)
    assert len(noted("nfig_band_latency_seconds")) == 1
    assert [request.num_finals for request in requests] == [1, 1]


def test_a_failure_in_the_middle_reaches_everybody(
    transformer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("out of memory")

    short, long = a_request(bands=1), a_request(bands=4)
    monkeypatch.setattr(transformer.metrics.latency[1], "observe", fail)
    transformer.execute([short, long])
    assert (short.bands, short.error) == ([0], None)
    assert long.bands == [0]
    assert long.error == "INTERNAL: out of memory"
    assert short.num_finals == long.num_finals == 1


def a_decode(canvas: np.ndarray[Any, Any], *bands: int) -> TwinRequest:
    return TwinRequest({"canvas": canvas, "preview_of": np.array(bands, np.int32)[:, None]})


def test_the_decoder_answers_each_request_in_its_place(load: Callable[[str], Any]) -> None:
    decoder = load("nfig_decoder")
    shape = decoder.model.canvas_shape
    good = np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)
    requests = [
        a_decode(good[:1], NO_PREVIEW),
        a_decode(np.zeros((1, 2, 2, 2), np.float32), 0),
        a_decode(good[1:], 1, NO_PREVIEW),
        a_decode(good[:1] * np.nan, 0),
        a_decode(good[:1], 6),
        a_decode(good[1:], 1),
    ]
    first, misshapen, two, infinite, no_band, one_short = decoder.execute(requests)
    for answer, name in (
        (misshapen, "canvas"),
        (infinite, "canvas"),
        (no_band, "preview_of"),
        (one_short, "preview_of"),
    ):
        assert f"INVALID_ARG: {name}" in str(answer.error)
    np.testing.assert_array_equal(first.tensors["pixels"], decoder.model.decode(good[:1], [None]))
    expected = decoder.model.decode(good[1:], [1, None])
    np.testing.assert_array_equal(two.tensors["pixels"], expected)
    assert two.tensors["pixels"].shape[0] == 2
    assert two.tensors["digest"].shape == (2, 1)
