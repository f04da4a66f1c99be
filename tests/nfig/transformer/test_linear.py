"""Laws of linear layers: the same function, and every row comes out as if it were alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nfig.int8 import Activation
from nfig.transformer.linear import SteadyLinear, can_pack, tile_rows

DTYPES = [torch.float32]
if can_pack(torch.empty(1, 1, dtype=torch.bfloat16)):
    DTYPES.append(torch.bfloat16)
SHAPES = [(24, 72), (224, 96), (1024, 3072), (4096, 1024)]
"""Inputs and outputs."""
NUM_ROWS, NUM_TOKENS = 24, [1, 4, 25, 70]
LAWS_OF_ROWS = [
    "tests/nfig/transformer",
    "tests/nfig/tokenizer/test_fr_vae.py",
    "tests/nfig/test_generation.py",
    "tests/nfig/test_precision.py",
]
OTHER_CPUS = [
    {"ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "MKL_ENABLE_INSTRUCTIONS": "AVX512"},
    {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"},
]
"""What the kernels may use of the CPU that runs the tests."""


@pytest.fixture
def num_threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("num_tokens", NUM_TOKENS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@torch.no_grad()
def test_a_row_is_the_same_at_any_place_and_beside_any_others(
    num_threads: Callable[[int], None], threads: int, num_tokens: int, dtype: torch.dtype
) -> None:
    num_threads(threads)
    for inputs, outputs in SHAPES:
        layer, x_BlI = _layer(inputs, outputs, dtype), _states(num_tokens, inputs, dtype)
        together_BlO = layer(x_BlI)
        for start, end in ((0, 1), (1, 2), (5, 7), (3, 10), (7, 23)):
            assert torch.equal(layer(x_BlI[start:end]), together_BlO[start:end]), (start, end)


@pytest.mark.parametrize("activation", ["none", "gelu"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@torch.no_grad()
def test_packing_changes_no_bit(dtype: torch.dtype, activation: Activation) -> None:
    for (inputs, outputs), num_tokens in zip(SHAPES, NUM_TOKENS, strict=True):
        layer, x_BlI = _layer(inputs, outputs, dtype), _states(num_tokens, inputs, dtype)
        before_BlO = layer(x_BlI, activation)
        layer.pack()
        assert layer.weight.is_mkldnn
        assert torch.equal(layer(x_BlI, activation), before_BlO)


@pytest.mark.parametrize("activation", ["none", "gelu"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, *DTYPES], ids=str)
@torch.no_grad()
def test_it_is_a_linear_layer(dtype: torch.dtype, activation: Activation) -> None:
    layer, x_BlI = _layer(224, 96, dtype), _states(25, 224, dtype)
    exact_BlO = F.linear(x_BlI.double(), layer.weight.double(), layer.bias.double())
    if activation == "gelu":
        exact_BlO = F.gelu(exact_BlO, approximate="tanh")
    tolerance = 32 * torch.finfo(dtype).eps
    torch.testing.assert_close(
        layer(x_BlI, activation).double(), exact_BlO, atol=tolerance, rtol=tolerance
    )
    one_row_BO = layer(x_BlI[:, 0], activation)
    torch.testing.assert_close(one_row_BO.double(), exact_BlO[:, 0], atol=tolerance, rtol=tolerance)


def test_with_gradients_it_is_the_plain_layer() -> None:
    layer, x_BlI = _layer(24, 72, torch.float32), _states(4, 24, torch.float32)
    y_BlO = layer(x_BlI)
    assert torch.equal(y_BlO, F.linear(x_BlI, layer.weight, layer.bias))
    y_BlO.sum().backward()
    assert layer.weight.grad is not None


@pytest.mark.parametrize("num_tokens", NUM_TOKENS)
def test_tiles_hold_whole_rows_of_the_batch(num_tokens: int) -> None:
    for dtype in DTYPES:
        rows = tile_rows(num_tokens, dtype)
        assert rows % num_tokens == 0
        assert rows >= 16
        assert rows == num_tokens or rows < 64 + 2 * num_tokens


@pytest.mark.skipif("OTHER_CPU" in os.environ, reason="is one already")
@pytest.mark.parametrize("kernels", OTHER_CPUS, ids=lambda kernels: kernels["ONEDNN_MAX_CPU_ISA"])
def test_other_cpus_keep_the_laws_of_rows(kernels: dict[str, str]) -> None:
    """As far as this one can stand in for them: kernels are chosen when torch is loaded."""
    laws = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *LAWS_OF_ROWS]
    environment = {**os.environ, **kernels, "OTHER_CPU": "1"}
    run = subprocess.run(  # noqa: S603
        [*laws, "-k", "a_row_is or packing"], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout[-4000:]


def _layer(inputs: int, outputs: int, dtype: torch.dtype) -> SteadyLinear:
    torch.manual_seed(0)
    return SteadyLinear(inputs, outputs).to(dtype)


def _states(num_tokens: int, inputs: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(NUM_ROWS, num_tokens, inputs).to(dtype)
