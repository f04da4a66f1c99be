"""Frequency bands of a latent: splitting it, and resampling between its grid and a band's grid.

Bands are nested: band k may hold what a grid of side s_k can hold, and no more (its cut-off is
Nyquist-matched to its grid side). `down` and `up` are one fixed matrix per band and axis, so the
decode path holds no transform:

    down_k @ up_k = I            nothing is lost from a band's grid to the latent grid and back
    up_k @ down_k                a projector: the low-pass of band k
    constants keep their value   whatever the grid

Two bases: "dct" takes the first s_k DCT-II coefficients per axis (mirror boundaries, square
cut-off); "fft" is the paper's radial masks on the periodic Fourier transform.

Shape legend: B batch, C latent channels, H W latent grid, h w grid of one band, K bands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nfig.config import Basis


def dct_basis(side: int) -> Tensor:
    """The orthonormal DCT-II as a matrix (side, side), one basis vector a row, low first."""
    position = torch.arange(side, dtype=torch.float64) + 0.5
    order = torch.arange(side, dtype=torch.float64)
    basis = torch.cos(math.pi / side * order[:, None] * position) * math.sqrt(2 / side)
    basis[0] /= math.sqrt(2)
    return basis


def fourier_basis(side: int) -> Tensor:
    """The orthonormal real Fourier basis (side, side): constant, then a cosine and a sine each."""
    position = 2 * math.pi / side * torch.arange(side, dtype=torch.float64)
    rows = [torch.ones(side, dtype=torch.float64)]
    for frequency in range(1, side // 2 + 1):
        rows += [torch.cos(frequency * position), torch.sin(frequency * position)]
    # At an even side the last sine is zero on every position.
    basis = torch.stack(rows[:side])
    unit: Tensor = basis / basis.norm(dim=1, keepdim=True)
    return unit


def resampling_matrices(*, band_side: int, latent_side: int, basis: Basis) -> tuple[Tensor, Tensor]:
    """`down` (band_side, latent_side) and `up` (latent_side, band_side), both float64."""
    make = dct_basis if basis == "dct" else fourier_basis
    on_band, on_latent = make(band_side), make(latent_side)[:band_side]
    # Keeps constants: the first coefficient of a constant grows with the root of the side.
    gain = math.sqrt(band_side / latent_side)
    return gain * on_band.T @ on_latent, on_latent.T @ on_band / gain


def radial_mask(*, radius: float, latent_side: int) -> Tensor:
    """True for the FFT bins strictly inside the radius, in cycles per latent side; (H, W)."""
    frequency = torch.fft.fftfreq(latent_side, d=1 / latent_side, dtype=torch.float64)
    mask: Tensor = frequency[:, None].square() + frequency.square() < radius**2
    return mask


class BandSplit(nn.Module):
    """The bands of one latent grid."""

    def __init__(self, grid_sides: Sequence[int], basis: Basis) -> None:
        super().__init__()
        self.grid_sides = tuple(grid_sides)
        self.basis = basis
        self.latent_side = self.grid_sides[-1]
        for band, side in enumerate(self.grid_sides):
            down, up = resampling_matrices(
                band_side=side, latent_side=self.latent_side, basis=basis
            )
            self.register_buffer(f"down_{band}", down.float(), persistent=False)
            self.register_buffer(f"up_{band}", up.float(), persistent=False)

    @property
    def num_bands(self) -> int:
        return len(self.grid_sides)

    def down(self, band: int, x_BCHW: Tensor) -> Tensor:
        """Latent grid to the band's grid: (B, C, H, W) to (B, C, h, w)."""
        matrix = self.get_buffer(f"down_{band}").to(x_BCHW.dtype)
        return matrix @ x_BCHW @ matrix.T

    def up(self, band: int, x_BChw: Tensor) -> Tensor:
        """The band's grid to the latent grid: (B, C, h, w) to (B, C, H, W)."""
        matrix = self.get_buffer(f"up_{band}").to(x_BChw.dtype)
        return matrix @ x_BChw @ matrix.T

    def low_pass(self, band: int, latent_BCHW: Tensor) -> Tensor:
        """The sum of bands 0 to `band`; all of the latent at the last."""
        if band == self.num_bands - 1:
            return latent_BCHW
        if self.basis == "dct":
            return self.up(band, self.down(band, latent_BCHW))
        # Paper: sigma_k follows the band's share of all tokens, which leaves bands 2 to 5 of the
        # published grid sides empty; here the radius is the Nyquist limit of the band's own grid.
        mask = radial_mask(radius=self.grid_sides[band] / 2, latent_side=self.latent_side)
        spectrum = torch.fft.fft2(latent_BCHW) * mask.to(latent_BCHW.device)
        low_BCHW: Tensor = torch.fft.ifft2(spectrum).real
        return low_BCHW

    def split(self, latent_BCHW: Tensor) -> list[Tensor]:
        """The bands f_0 .. f_(K-1), each (B, C, H, W); they sum to the latent."""
        low = [self.low_pass(band, latent_BCHW) for band in range(self.num_bands)]
        return [low[0], *(high - low for low, high in zip(low, low[1:], strict=False))]
