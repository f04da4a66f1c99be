"""The few colours that an image is made of, and their mixture at every pixel.

Pictures are full of areas of one colour. A convolution computes each pixel from what is near it,
so it leaves a faint texture there; colours that are chosen once for the whole image do not.
Paper: a decoder that ends in a convolution to RGB.

Shape legend: B batch, D width, P colours of the palette, H W latent grid, 3 RGB, Y X pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Palette(nn.Module):
    """Chooses P colours for an image, each by one query over the coarsest features."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.keys_values = nn.Conv2d(width, size + width, 1)
        self.colour = nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.slots = nn.Embedding(size, width)
        self.out = nn.Linear(width, 3)

    def forward(self, features_BDHW: Tensor) -> Tensor:
        """RGB colours (B, 3, P), about [-1, 1], not clamped."""
        size = self.slots.num_embeddings
        both = self.keys_values(features_BDHW).flatten(2)
        attention_BPm = both[:, :size].softmax(dim=-1)
        seen_BPD = attention_BPm @ both[:, size:].transpose(1, 2)
        colours_BP3: Tensor = self.out(self.colour(seen_BPD + self.slots.weight))
        return colours_BP3.transpose(1, 2)


def mix(shares_BPYX: Tensor, colours_B3P: Tensor) -> Tensor:
    """Pixels (B, 3, Y, X): at each the mean of all colours, weighed by the softmax of its shares.

    Not a matrix product, which autocast would round and libraries sum in an order of their own.
    """
    shares_BPYX = shares_BPYX.float() if shares_BPYX.dtype is torch.bfloat16 else shares_BPYX
    weights_BPYX = F.softmax(shares_BPYX, dim=1)
    colours_B3P11 = colours_B3P.to(weights_BPYX.dtype).unsqueeze(-1).unsqueeze(-1)
    return (colours_B3P11 * weights_BPYX.unsqueeze(1)).sum(dim=2)
