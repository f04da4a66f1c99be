"""Laws of VAR's phi."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from nfig.tokenizer.phi import NUM_PHI, Phi, phi_of_band


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("num_bands", "expected"),
    [(10, [0, 0, 1, 1, 1, 2, 2, 3, 3, 3]), (5, [0, 1, 2, 2, 3]), (2, [0, 3]), (1, [0])],
)
def test_bands_share_the_four_by_their_place(num_bands: int, expected: list[int]) -> None:
    bands = range(num_bands)
    assert [phi_of_band(band, num_bands=num_bands) for band in bands] == expected


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_half_its_input_and_half_a_convolution(dtype: torch.dtype, training: bool) -> None:
    phi = Phi(4, num_bands=5).to(dtype).train(training)
    x = torch.randn(3, 4, 8, 8, dtype=dtype)
    for band, index in enumerate([0, 1, 2, 2, 3]):
        conv = phi.convolutions[index]
        assert isinstance(conv, nn.Conv2d)
        torch.testing.assert_close(phi(band, x), 0.5 * x + 0.5 * conv(x))


@pytest.mark.parametrize(("channels", "side"), [(5, 4), (16, 8), (32, 16)])
@torch.no_grad()
def test_a_row_does_not_depend_on_the_rows_beside_it(
    threads: None, channels: int, side: int
) -> None:
    torch.manual_seed(0)
    phi = Phi(channels, num_bands=10).eval()
    x = torch.randn(8, channels, side, side)
    together = phi(3, x)
    for rows in (1, 2, 3, 5, 7):
        assert torch.equal(phi(3, x[:rows]), together[:rows]), rows


def test_every_convolution_learns() -> None:
    phi = Phi(3, num_bands=10)
    x = torch.randn(2, 3, 4, 4)
    total = torch.stack([phi(band, x).square().mean() for band in range(10)]).sum()
    total.backward()
    parameters = list(phi.parameters())
    assert len(parameters) == 2 * NUM_PHI
    for parameter in parameters:
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0
