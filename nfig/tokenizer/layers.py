"""The convolutional blocks that encoder and decoder share (VQGAN style)."""

from __future__ import annotations

from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GROUP_CHANNELS = 16


def norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(max(1, channels // GROUP_CHANNELS), channels)


def conv3(channels_in: int, channels_out: int, *, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1)


class ResBlock(nn.Module):
    """x + conv(conv(x)), each convolution after norm and SiLU; keeps the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = norm(channels), conv3(channels, channels)
        self.norm2, self.conv2 = norm(channels), conv3(channels, channels)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        # Without gradients in the norm's own memory: nobody else has seen it.
        inplace = not torch.is_grad_enabled()
        y = self.conv1(F.silu(self.norm1(x), inplace=inplace))
        y = self.norm2(y)
        y = F.silu(y, inplace=inplace)
        y = self.conv2(y)
        out: Tensor = x + y
        return out


class AttentionBlock(nn.Module):
    """Single-head self-attention over all positions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        qkv = self.qkv(self.norm(x)).view(batch, 3, channels, height * width)
        q, k, v = qkv.transpose(2, 3).unbind(1)
        y = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = x + self.out(y.transpose(1, 2).reshape(x.shape))
        return out


class Upsample(nn.Module):
    """Doubles the side, then a convolution."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = conv3(channels_in, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return y


class FoldedUpsample(nn.Module):
    """An `Upsample` to draw with: the same up to rounding, with 4 products in place of 9.

    A pixel of the doubled image sees 2 x 2 pixels of the small one, some of them several times.
    Weights that meet the same pixel are summed, for each of the four places in a doubled pixel.
    """

    def __init__(self, upsample: Upsample) -> None:
        super().__init__()
        weight = _folded(_folded(upsample.conv.weight.detach(), 2), 3)
        bias = upsample.conv.bias
        assert bias is not None
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(bias.detach().repeat(4), requires_grad=False)
        self.channels = upsample.conv.out_channels

    def forward(self, x_BCHW: Tensor) -> Tensor:
        batch, _, height, width = x_BCHW.shape
        y = F.conv2d(x_BCHW, self.weight, self.bias, padding=1)
        y = y.permute(0, 2, 3, 1).unflatten(3, (2, 2, self.channels))
        out: Tensor = y.new_empty(batch, height, 2, width, 2, self.channels)
        for row, column in product(range(2), range(2)):
            seen = y[:, row : row + height, column : column + width]
            out[:, :, row, :, column] = seen[..., column, row, :]
        return out.view(batch, 2 * height, 2 * width, self.channels).permute(0, 3, 1, 2)


def _folded(weight: Tensor, axis: int) -> Tensor:
    """Three taps along an axis become two, for the first and the second of a doubled pixel."""
    before, same, after = weight.unbind(axis)
    first, second = (before, same + after), (before + same, after)
    return torch.cat([torch.stack(taps, axis) for taps in (first, second)])


def fold_upsampling(layers: nn.Sequential) -> None:
    """Replaces every `Upsample`, for good: what is folded can only draw."""
    for index, layer in enumerate(layers):
        if isinstance(layer, Upsample):
            layers[index] = FoldedUpsample(layer)


def stage(channels: int, *, num_res_blocks: int, attention: bool) -> list[nn.Module]:
    """All that happens at one resolution."""
    blocks: list[nn.Module] = []
    for _ in range(num_res_blocks):
        blocks.append(ResBlock(channels))
        if attention:
            blocks.append(AttentionBlock(channels))
    return blocks


def to_memory_format(x: Tensor) -> Tensor:
    """Channels last, in which convolutions on CPU and GPU are fastest."""
    return x.contiguous(memory_format=torch.channels_last)
