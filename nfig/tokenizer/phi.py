"""VAR's phi: small convolutions that mend what bicubic resampling does to the codes.

Shape legend: B batch rows, C latent channels, H W latent grid.
"""

from __future__ import annotations

from torch import Tensor, nn

from nfig.rows import row_by_row
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
        return (x_BCHW + row_by_row(conv, x_BCHW)) / 2


def phi_of_band(band: int, *, num_bands: int) -> int:
    """Which of the four serves a band.

    VAR spreads them evenly from 1/12 to 11/12 of the way from the first band to the last; a band
    takes the nearest. In whole numbers, because bands 2 and 7 of ten lie half-way: they go
    outwards, as in VAR.
    """
    last = max(num_bands - 1, 1)
    return (18 * band + last) // (5 * last)
