"""Canvas to pixels.

Shape legend: B batch, C latent channels, H W latent grid.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from nfig.config import TokenizerConfig
from nfig.tokenizer.layers import Upsample, conv3, norm, stage, to_memory_format


class Decoder(nn.Module):
    """Canvases (B, C, H, W) to images (B, 3, side, side), about [-1, 1], not clamped."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.patch_side = config.patch_side
        widths = tuple(reversed(config.widths))
        layers: list[nn.Module] = [conv3(config.latent_channels, widths[0])]
        for index, width in enumerate(widths):
            if index:
                layers.append(Upsample(widths[index - 1], width))
            layers += stage(
                width,
                num_res_blocks=config.num_res_blocks,
                attention=config.attention and index == 0,
            )
        layers += [norm(widths[-1]), nn.SiLU(), conv3(widths[-1], 3 * config.patch_side**2)]
        self.layers = nn.Sequential(*layers)

    def forward(self, canvas_BCHW: Tensor) -> Tensor:
        x = self.layers(to_memory_format(canvas_BCHW))
        return F.pixel_shuffle(x, self.patch_side)
