"""Residual quantisation of a latent, band by band (paper, eq. 4).

Band k codes R_(k-1) + f_k: what the bands before it got wrong plus its own frequencies. With Z(v_k)
the contribution of its tokens, R_k = R_(k-1) + f_k - Z(v_k). All bands share one codebook. VAR is
the same rule with f_0 the whole latent and nothing after it, and with phi in Z.

Shape legend: B batch rows, C latent channels, H W latent grid, h w grid of one band, l tokens of
one band, V codebook size, K bands.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nfig.area import AreaBands
from nfig.bands import Bands
from nfig.config import TokenizerConfig
from nfig.frequency import BandSplit
from nfig.tokenizer.phi import Phi


@dataclass(frozen=True, kw_only=True, eq=False)
class Quantized:
    """A latent in tokens, with what training needs to know; one entry per band in each list."""

    tokens_Bl: list[Tensor]
    targets_BlC: list[Tensor]
    """What each token stands for, before rounding to the nearest code."""
    canvases_BCHW: list[Tensor]
    """The sum of the contributions of the bands so far; these alone have gradients, to phi."""


class BandQuantizer(nn.Module):
    """The codebook, the rule that picks its entries, and for VAR phi. Holds no other state."""

    codebook_VC: Tensor

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        channels = config.latent_channels
        self.bands = _bands(config)
        # Paper: does not say how codes learn. A buffer: ours do by moving averages, see
        # nfig.training.codebook, not by gradients.
        self.register_buffer("codebook_VC", torch.randn(config.codebook_size, channels))
        self.phi: Phi | None = None
        if config.quantization == "area":
            self.phi = Phi(channels, num_bands=config.num_bands)

    def forward(self, latent_BCHW: Tensor) -> Quantized:
        """Quantises all bands. No gradients reach the latent."""
        latent_BCHW = latent_BCHW.detach()
        quantized = Quantized(tokens_Bl=[], targets_BlC=[], canvases_BCHW=[])
        canvas_BCHW = torch.zeros_like(latent_BCHW)
        residual_BCHW = torch.zeros_like(latent_BCHW)
        for band, band_BCHW in enumerate(self.bands.split(latent_BCHW)):
            residual_BCHW = residual_BCHW + band_BCHW
            target_BlC = self.flatten(self.bands.down(band, residual_BCHW))
            tokens_Bl = self.nearest(target_BlC)
            contribution_BCHW = self.contribution(band, tokens_Bl)
            residual_BCHW = residual_BCHW - contribution_BCHW.detach()
            canvas_BCHW = canvas_BCHW + contribution_BCHW
            quantized.tokens_Bl.append(tokens_Bl)
            quantized.targets_BlC.append(target_BlC)
            quantized.canvases_BCHW.append(canvas_BCHW)
        return quantized

    def nearest(self, target_BlC: Tensor) -> Tensor:
        """Index of the code nearest by Euclidean distance: (B, l, C) to int64 (B, l)."""
        # |t - c|^2 without |t|^2, which is the same for all codes.
        closeness_BlV = target_BlC @ self.codebook_VC.T - self.codebook_VC.square().sum(1) / 2
        return closeness_BlV.argmax(-1)

    def contribution(self, band: int, tokens_Bl: Tensor) -> Tensor:
        """Z(v_k): the codes of one band's tokens, brought to the latent's grid (B, C, H, W)."""
        side = self.bands.grid_sides[band]
        codes_BlC = F.embedding(tokens_Bl, self.codebook_VC)
        drawn_BCHW = self.bands.up(band, codes_BlC.mT.unflatten(-1, (side, side)))
        if self.phi is None:
            return drawn_BCHW
        mended_BCHW: Tensor = self.phi(band, drawn_BCHW)
        return mended_BCHW

    @staticmethod
    def flatten(x_BChw: Tensor) -> Tensor:
        """(B, C, h, w) to (B, l, C), row-major."""
        return x_BChw.flatten(2).mT


def _bands(config: TokenizerConfig) -> Bands:
    if config.quantization == "area":
        return AreaBands(config.grid_sides)
    return BandSplit(config.grid_sides, config.basis, band_edges=config.band_edges)
