"""VAR's phi: small convolutions that mend what bicubic resampling does to the codes.

Shape legend: B batch rows, C latent channels, H W latent grid.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nfig.tokenizer.layers import conv3

NUM_PHI = 4


class Phi(nn.Module):
    """x / 2 + conv(x) / 2, with four convolutions that neighbouring bands share."""

    def __init__(self, channels: int, *, num_bands: int) -> None:
        super().__init__()
        self.num_bands = num_bands
        self.convolutions = nn.ModuleList(conv3(channels, channels) for _ in range(NUM_PHI))

    def forward(self, band: int, x_BCHW: Tensor) -> Tensor:
        conv = self.convolutions[phi_of_band(band, num_bands=self.num_bands)]
        # On a CPU one row at a time: a convolution of a single row sums in another order than one
        # of several, and the next token hangs on the last bit. Training has no such token.
        alone = x_BCHW.device.type == "cpu" and not self.training
        rows = x_BCHW.split(1) if alone else (x_BCHW,)
        return (x_BCHW + torch.cat([conv(row) for row in rows])) / 2


def phi_of_band(band: int, *, num_bands: int) -> int:
    """Which of the four serves a band.

    VAR spreads them evenly from 1/12 to 11/12 of the way from the first band to the last; a band
    takes the nearest. In whole numbers, because bands 2 and 7 of ten lie half-way: they go
    outwards, as in VAR.
    """
    last = max(num_bands - 1, 1)
    return (18 * band + last) // (5 * last)
