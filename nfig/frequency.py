"""NFIG's bands: a latent is split by frequency, each band up to a cut-off of its own.

Bands are nested: band k may hold what a grid of side s_k can hold, and no more (its cut-off is
Nyquist-matched to its grid side). Of the fixed matrices between the grids:

    down_k @ up_k = I            nothing is lost from a band's grid to the latent grid and back
    up_k @ down_k                a projector: the low-pass of band k
    constants keep their value   whatever the grid

Two bases: "dct" takes the first s_k DCT-II coefficients per axis (mirror boundaries, square
cut-off); "fft" is the paper's radial masks on the periodic Fourier transform. Two kinds of band
edges: "nyquist" as above; "literal" (for "fft") is the paper's formula, which cuts lower.

Shape legend: B batch, C latent channels, H W latent grid, h w grid of one band, K bands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from nfig.bands import Bands
from nfig.config import BandEdges, Basis


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


def resampling_matrices(band_side: int, *, latent_side: int, basis: Basis) -> tuple[Tensor, Tensor]:
    """`down` (band_side, latent_side) and `up` (latent_side, band_side), both float64."""
    # Paper: bands are interpolated between grids, which loses and invents frequencies; a change of
    # grid in the band's own basis does neither.
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


def literal_radius(band: int, grid_sides: Sequence[int]) -> float:
    """The paper's sigma_k: sigma_(k-1) + (band k's share of all tokens) * sigma_max.

    sigma_max is half the latent's side, the highest frequency along an axis.
    """
    tokens = [side * side for side in grid_sides]
    # One division at the end: the radius of a band may hit that of a bin exactly.
    return sum(tokens[: band + 1]) * grid_sides[-1] / (2 * sum(tokens))


class BandSplit(Bands):
    """The bands of one latent grid, as NFIG cuts them."""

    def __init__(
        self, grid_sides: Sequence[int], basis: Basis, *, band_edges: BandEdges = "nyquist"
    ) -> None:
        matrices = partial(resampling_matrices, latent_side=grid_sides[-1], basis=basis)
        super().__init__(grid_sides, matrices)
        self.basis = basis
        self.band_edges = band_edges

    def goal(self, band: int, latent_BCHW: Tensor) -> Tensor:
        """The low-pass of the latent at the band's cut-off."""
        return self.low_pass(band, latent_BCHW)

    def low_pass(self, band: int, latent_BCHW: Tensor) -> Tensor:
        """The sum of bands 0 to `band`; all of the latent at the last."""
        if band == self.num_bands - 1:
            # Paper: ends at a sigma_max that it does not state; if that is half the side, no band
            # holds the spectrum's corners. Here the last band takes the rest.
            return latent_BCHW
        if self.basis == "dct":
            # Paper: FFT and masks, which wrap around at the image's edges.
            return self.up(band, self.down(band, latent_BCHW))
        mask = radial_mask(radius=self._radius(band), latent_side=self.latent_side)
        spectrum = torch.fft.fft2(latent_BCHW) * mask.to(latent_BCHW.device)
        low_BCHW: Tensor = torch.fft.ifft2(spectrum).real
        return low_BCHW

    def _radius(self, band: int) -> float:
        # Paper: sigma_k follows the band's share of all tokens, which leaves bands 1 to 4 of the
        # published grid sides empty; by default the radius is the Nyquist limit of the band's grid.
        if self.band_edges == "literal":
            return literal_radius(band, self.grid_sides)
        return self.grid_sides[band] / 2
