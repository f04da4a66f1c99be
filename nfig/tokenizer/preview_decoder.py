"""Canvas to a preview: about the decoder's pixels, at the resolution that the band so far has.

The canvas of band k holds no more than a grid of side s_k can, so it is decoded there: what comes
out is s_k x the tokenizer's downsampling pixels wide, and is scaled up for display. One network
serves all bands but the last, whose canvas is the image's. It is distilled from the decoder by
nfig.training.preview_trainer.

Shape legend: B batch, C latent channels, H W latent grid, h w grid of one band, 3YX RGB image,
3yx the same at the preview's own resolution.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nfig.area import AreaBands
from nfig.bands import Bands
from nfig.config import TokenizerConfig
from nfig.frequency import BandSplit
from nfig.tokenizer.layers import ResBlock, Upsample, conv3, norm, to_memory_format


class PreviewDecoder(nn.Module):
    """Paper: has one decoder, for whole canvases; this one makes a preview after each band cheap.

    It is not told which band it decodes: that came out no better, as the edges of the grid tell.
    """

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        coarse, middle, fine = (config.preview_channels // part for part in (1, 2, 4))
        self.patch_side = config.downsampling // 4
        self.bands = _cell_centred(config)
        self.pixels = BandSplit([side * config.downsampling for side in config.grid_sides], "dct")
        self.layers = nn.Sequential(
            conv3(config.latent_channels, coarse),
            ResBlock(coarse),
            ResBlock(coarse),
            Upsample(coarse, middle),
            ResBlock(middle),
            Upsample(middle, fine),
            ResBlock(fine),
            norm(fine),
            nn.SiLU(),
            conv3(fine, 3 * self.patch_side**2),
        )

    def forward(self, band: int, canvas_BCHW: Tensor) -> Tensor:
        """The preview at its own resolution (B, 3, y, x), about [-1, 1], not clamped."""
        x_BChw = to_memory_format(self.bands.down(band, canvas_BCHW))
        return F.pixel_shuffle(self.layers(x_BChw), self.patch_side)

    def shrink(self, band: int, images_B3YX: Tensor) -> Tensor:
        """Images as a preview of the band can show them, (B, 3, y, x).

        The first coefficients of a DCT, of all pictures of that size the nearest in squared error.
        """
        return self.pixels.down(band, images_B3YX)

    def enlarge(self, band: int, small_B3yx: Tensor) -> Tensor:
        """A preview at the size of the image, (B, 3, Y, X): the same coefficients, no others."""
        return self.pixels.up(band, small_B3yx)


def _cell_centred(config: TokenizerConfig) -> Bands:
    if config.quantization == "area":
        return AreaBands(config.grid_sides)
    # Also for basis "fft": its grids begin at the edge of a cell and not in the middle, so that a
    # picture made from one would be displaced.
    return BandSplit(config.grid_sides, "dct")


def build_preview_decoder(config: TokenizerConfig) -> PreviewDecoder | None:
    """None if the config has none. Takes no random numbers from others."""
    if not config.preview_channels:
        return None
    with torch.random.fork_rng(devices=[]):
        return PreviewDecoder(config)
