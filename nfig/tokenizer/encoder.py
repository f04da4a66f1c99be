"""Pixels to latent.

Shape legend: B batch, C latent channels, H W latent grid.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from nfig.config import TokenizerConfig
from nfig.tokenizer.layers import conv3, norm, stage, to_memory_format


class Encoder(nn.Module):
    """Images (B, 3, side, side) in [-1, 1] to latents (B, C, H, W).

    Paper: starts from DINOv2's weights; ours starts from nothing, so that no download is needed.
    Who has the weights takes `nfig.tokenizer.vit` instead.
    """

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.patch_side = config.patch_side
        widths = config.widths
        layers: list[nn.Module] = [conv3(3 * config.patch_side**2, widths[0])]
        for index, width in enumerate(widths):
            if index:
                layers.append(conv3(widths[index - 1], width, stride=2))
            last = index == len(widths) - 1
            layers += stage(
                width,
                num_res_blocks=config.num_res_blocks,
                attention=config.attention and last,
            )
        layers += [norm(widths[-1]), nn.SiLU(), conv3(widths[-1], config.latent_channels)]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        x = F.pixel_unshuffle(images, self.patch_side)
        latent_BCHW: Tensor = self.layers(to_memory_format(x))
        return latent_BCHW
