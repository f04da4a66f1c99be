"""What every way to cut a latent into bands offers: grids, and fixed matrices between them.

`down` and `up` are one matrix per band and axis, so the decode path holds no transform and no
resampling kernel. Two ways exist: `nfig.frequency` (NFIG) and `nfig.area` (VAR).

Shape legend: B batch, C latent channels, H W latent grid, h w grid of one band, K bands.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn

from nfig.rows import row_by_row

Matrices = Callable[[int], tuple[Tensor, Tensor]]
"""Takes a band's side, gives `down` (side, latent side) and `up` (latent side, side)."""


class Bands(nn.Module, ABC):
    """The bands of one latent grid. Learns nothing."""

    def __init__(self, grid_sides: Sequence[int], matrices: Matrices) -> None:
        super().__init__()
        self.grid_sides = tuple(grid_sides)
        self.latent_side = self.grid_sides[-1]
        for band, side in enumerate(self.grid_sides):
            down, up = matrices(side)
            self.register_buffer(f"down_{band}", down.float(), persistent=False)
            self.register_buffer(f"up_{band}", up.float(), persistent=False)

    @property
    def num_bands(self) -> int:
        return len(self.grid_sides)

    def down(self, band: int, x_BCHW: Tensor) -> Tensor:
        """Latent grid to the band's grid: (B, C, H, W) to (B, C, h, w)."""
        return _resample(self.get_buffer(f"down_{band}"), x_BCHW)

    def up(self, band: int, x_BChw: Tensor) -> Tensor:
        """The band's grid to the latent grid: (B, C, h, w) to (B, C, H, W)."""
        return _resample(self.get_buffer(f"up_{band}"), x_BChw)

    @abstractmethod
    def goal(self, band: int, latent_BCHW: Tensor) -> Tensor:
        """What the canvas of bands 0 to `band` is to come near; the latent itself at the last."""

    def split(self, latent_BCHW: Tensor) -> list[Tensor]:
        """What each band adds to the goal: f_0 .. f_(K-1), each (B, C, H, W); the latent in all."""
        goals = [self.goal(band, latent_BCHW) for band in range(self.num_bands)]
        return [goals[0], *(higher - lower for lower, higher in pairwise(goals))]

    def exact_targets(self, latent_BCHW: Tensor) -> list[Tensor]:
        """What each band would code if those before it were not rounded: (B, C, h, w) each."""
        return [self.down(band, f_BCHW) for band, f_BCHW in enumerate(self.split(latent_BCHW))]


def _resample(matrix: Tensor, x_BCHW: Tensor) -> Tensor:
    """Along both axes."""
    matrix = matrix.to(x_BCHW.dtype)
    return row_by_row(lambda row_1CHW: matrix @ row_1CHW @ matrix.T, x_BCHW)
