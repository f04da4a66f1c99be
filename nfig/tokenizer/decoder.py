"""Canvas to pixels.

Shape legend: B batch, C latent channels, H W latent grid, P colours of the palette.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from nfig.config import TokenizerConfig
from nfig.tokenizer.layers import Upsample, conv3, norm, stage, to_memory_format
from nfig.tokenizer.palette import Palette, mix


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
        per_pixel = config.palette_size or 3
        layers += [norm(widths[-1]), nn.SiLU(), conv3(widths[-1], per_pixel * config.patch_side**2)]
        self.layers = nn.Sequential(*layers)
        self.coarsest = 1 + config.num_res_blocks * (2 if config.attention else 1)
        """Layers at the latent's resolution."""
        self.palette = Palette(widths[0], config.palette_size) if config.palette_size else None

    def forward(self, canvas_BCHW: Tensor) -> Tensor:
        features = self.layers[: self.coarsest](to_memory_format(canvas_BCHW))
        x = F.pixel_shuffle(self.layers[self.coarsest :](features), self.patch_side)
        return x if self.palette is None else mix(x, self.palette(features))
