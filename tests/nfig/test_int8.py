"""Laws of layers in 8 bits: near the layer they stand in for, and every row by itself."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nfig.int8 import Int8Conv2d, Int8Linear, has_int8

pytestmark = pytest.mark.skipif(
    not has_int8(torch.device("cpu")), reason="8 bits are for a CPU with VNNI"
)
DTYPES = (torch.float32, torch.bfloat16)
NEAR = 0.02
"""Of the outputs' norm; 8 bits leave about 0.008."""


@pytest.fixture(autouse=True)
def no_gradients() -> object:
    torch.manual_seed(0)
    with torch.no_grad():
        yield


def error(found: Tensor, wanted: Tensor) -> float:
    return float((found.float() - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_linear_layer_is_near_and_keeps_shape_and_dtype(dtype: torch.dtype) -> None:
    linear = nn.Linear(48, 80)
    x = torch.randn(2, 9, 48).to(dtype)
    y = Int8Linear(linear)(x)
    assert (y.dtype, y.shape) == (dtype, (2, 9, 80))
    assert error(y, linear(x.float())) < NEAR


def test_a_bias_from_elsewhere_is_added() -> None:
    linear, bias = nn.Linear(48, 80, bias=False), torch.randn(80)
    x = torch.randn(5, 48)
    found = Int8Linear(linear, bias_O=bias)(x)
    assert error(found, F.linear(x, linear.weight, bias)) < NEAR


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_is_the_same_bit_for_bit_whatever_is_beside_it(dtype: torch.dtype) -> None:
    layer = Int8Linear(nn.Linear(192, 96))
    x = torch.randn(19, 192).to(dtype)
    x[0] *= 1e4  # another row's range must not coarsen this one's
    together = layer(x)
    for rows in (slice(0, 1), slice(3, 4), slice(2, 9), slice(11, 19)):
        assert layer(x[rows]).equal(together[rows])


def test_a_row_of_zeros_gives_the_bias() -> None:
    linear = nn.Linear(16, 8)
    assert error(Int8Linear(linear)(torch.zeros(3, 16)), linear.bias.expand(3, 8)) < 1e-6


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", [F.silu, torch.neg, torch.relu])
def test_a_convolution_is_near_also_at_the_edges(dtype: torch.dtype, activation: object) -> None:
    assert callable(activation)
    conv = nn.Conv2d(16, 24, 3, padding=1)
    x = activation(torch.randn(2, 16, 7, 7)).to(dtype)
    y = Int8Conv2d(conv)(x)
    wanted = conv(x.float())
    assert (y.dtype, y.shape) == (dtype, wanted.shape)
    assert error(y, wanted) < NEAR
    assert error(y[..., 0], wanted[..., 0]) < NEAR


def test_an_image_is_the_same_whatever_is_beside_it() -> None:
    layer = Int8Conv2d(nn.Conv2d(16, 24, 3, padding=1))
    x = torch.randn(3, 16, 6, 6) * torch.tensor([1.0, 100.0, 0.0]).view(3, 1, 1, 1)
    together = layer(x)
    assert together[2].isfinite().all()
    for row in range(3):
        assert layer(x[row : row + 1])[0].equal(together[row])


def test_it_holds_about_a_quarter_of_the_bytes() -> None:
    linear = nn.Linear(256, 512)
    held = linear.weight.numel() * linear.weight.element_size()
    assert held / 4 <= Int8Linear(linear).num_bytes < held / 3


def test_it_says_that_it_cannot_be_saved() -> None:
    with pytest.raises(ValueError, match="profile"):
        nn.Sequential(Int8Linear(nn.Linear(4, 4))).state_dict()
