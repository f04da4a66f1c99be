"""VAR's bands: every band may code the whole rest of the latent, on its own coarse grid.

Down is area averaging, up is bicubic, as VAR does both. There is no cut-off: the goal of every
band is the latent itself, and a band is coarse only because its grid is.

    constants keep their value   whatever the grid
    down_(K-1) = up_(K-1) = I    the last band's grid is the latent's own

Unlike those of `nfig.frequency`, `down_k @ up_k` is not the identity.

Shape legend: B batch, C latent channels, H W latent grid, h w grid of one band, K bands.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from nfig.bands import Bands


def area_matrices(band_side: int, *, latent_side: int) -> tuple[Tensor, Tensor]:
    """`down` (band_side, latent_side) and `up` (latent_side, band_side), both float64."""
    # A separable resampling is known by what it does to unit vectors along one axis.
    on_latent = torch.eye(latent_side, dtype=torch.float64)[None, None]
    on_band = torch.eye(band_side, dtype=torch.float64)[None, None]
    down = F.interpolate(on_latent, size=(band_side, latent_side), mode="area")
    up = F.interpolate(on_band, size=(latent_side, band_side), mode="bicubic")
    return down[0, 0], up[0, 0]


class AreaBands(Bands):
    """The bands of one latent grid, as VAR cuts them."""

    def __init__(self, grid_sides: Sequence[int]) -> None:
        super().__init__(grid_sides, partial(area_matrices, latent_side=grid_sides[-1]))

    def goal(self, band: int, latent_BCHW: Tensor) -> Tensor:
        """The latent, for every band."""
        del band
        return latent_BCHW

    def exact_targets(self, latent_BCHW: Tensor) -> list[Tensor]:
        """As in `Bands`: each band gets what the resampling of those before it has lost."""
        targets = []
        for band in range(self.num_bands):
            target_BChw = self.down(band, latent_BCHW)
            latent_BCHW = latent_BCHW - self.up(band, target_BChw)
            targets.append(target_BChw)
        return targets
