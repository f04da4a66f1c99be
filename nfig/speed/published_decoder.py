"""VAR's pixel decoder as published: VQGAN's, wider at each step than `nfig.tokenizer.decoder`.

Convolutions at the latent's resolution, a middle of two residual blocks around attention, then per
resolution one residual block more than the encoder has, the first of them changing the channels.

Shape legend: B batch, C latent channels, H W latent grid.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nfig.config import TokenizerConfig

NORM_GROUPS = 32


def _norm(channels: int) -> nn.GroupNorm:
    # As published where 32 groups fit, as they do at every published size.
    return nn.GroupNorm(math.gcd(NORM_GROUPS, channels), channels, eps=1e-6)


def _conv3(channels_in: int, channels_out: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1)


class _ResBlock(nn.Module):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = _norm(channels_in), _conv3(channels_in, channels_out)
        self.norm2, self.conv2 = _norm(channels_out), _conv3(channels_out, channels_out)
        same = channels_in == channels_out
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.silu(self.norm1(x), inplace=True))
        y = self.conv2(F.silu(self.norm2(y), inplace=True))
        out: Tensor = self.shortcut(x) + y
        return out


class _AttentionBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.qkv, self.out = nn.Conv2d(channels, 3 * channels, 1), nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        rows, channels, height, width = x.shape
        qkv = self.qkv(self.norm(x)).reshape(rows, 3, channels, height * width)
        queries, keys, values = qkv.unbind(1)
        similar = torch.bmm(queries.mT.contiguous(), keys).mul_(channels**-0.5).softmax(2)
        y = torch.bmm(values, similar.mT.contiguous()).view(x.shape)
        out: Tensor = x + self.out(y)
        return out


class _Upsample(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = _conv3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out


class PublishedDecoder(nn.Sequential):
    """Canvases (B, C, H, W) to images (B, 3, side, side) in [-1, 1]."""

    def __init__(self, config: TokenizerConfig) -> None:
        widths = tuple(reversed(_widths(config)))
        width = widths[0]
        layers: list[nn.Module] = [
            _conv3(config.latent_channels, config.latent_channels),
            _conv3(config.latent_channels, width),
            _ResBlock(width, width),
            _AttentionBlock(width),
            _ResBlock(width, width),
        ]
        for index, next_width in enumerate(widths):
            if index:
                layers.append(_Upsample(width))
            for _ in range(config.num_res_blocks + 1):
                layers.append(_ResBlock(width, next_width))
                width = next_width
                if index == 0:
                    layers.append(_AttentionBlock(width))
        super().__init__(*layers, _norm(width), nn.SiLU(), _conv3(width, 3))

    def forward(self, canvas_BCHW: Tensor) -> Tensor:
        images: Tensor = super().forward(canvas_BCHW)  # type: ignore[no-untyped-call]
        return images.clamp_(-1, 1)


def _widths(config: TokenizerConfig) -> tuple[int, ...]:
    """From fine to coarse. VAR folds no pixels into channels: it goes on to halve the side."""
    folds = round(math.log2(config.patch_side))
    return (config.widths[0],) * folds + config.widths
