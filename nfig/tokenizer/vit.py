"""Pixels to latent by a vision transformer, which may start from DINOv2's weights.

Parts carry the names of DINOv2 (Oquab et al. 2023), so that its weights fit: nfig.tokenizer.dinov2.

Shape legend: B batch, C latent channels, H W latent grid, D width, P patches and the class token.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nfig.config import TokenizerConfig

PATCH_SIDE = 14
HEAD_WIDTH = 64
MLP_RATIO = 4
EPSILON = 1e-6
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
FIRST_WEIGHT = 0.02


class ViTEncoder(nn.Module):
    """Images (B, 3, side, side) in [-1, 1] to latents (B, C, H, W), a patch per position."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        width, self.grid_side = config.vit_width, config.latent_side
        self.patch_embed = nn.Sequential(
            OrderedDict(proj=nn.Conv2d(3, width, PATCH_SIDE, stride=PATCH_SIDE))
        )
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.grid_side**2, width))
        self.blocks = nn.Sequential(*(_Block(width) for _ in range(config.vit_depth)))
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.to_latent = nn.Linear(width, config.latent_channels)
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1 and name != "cls_token":
                nn.init.trunc_normal_(parameter, std=FIRST_WEIGHT)

    def forward(self, images: Tensor) -> Tensor:
        patches_BDHW = self.patch_embed(self._prepared(images))
        start_B1D = self.cls_token.expand(len(images), -1, -1)
        x_BPD = torch.cat([start_B1D, patches_BDHW.flatten(2).mT], dim=1) + self.pos_embed
        x_BPD = self.norm(self.blocks(x_BPD))
        latent_BlC = self.to_latent(x_BPD[:, 1:])
        latent_BCHW: Tensor = latent_BlC.mT.unflatten(2, (self.grid_side, self.grid_side))
        return latent_BCHW

    def _prepared(self, images: Tensor) -> Tensor:
        """As many patches as the latent has positions, and colours as DINOv2 was trained on."""
        side = self.grid_side * PATCH_SIDE
        if images.shape[-1] != side:
            images = F.interpolate(images, (side, side), mode="bilinear", antialias=True)
        mean_311 = images.new_tensor(MEAN).view(3, 1, 1)
        deviation_311 = images.new_tensor(DEVIATION).view(3, 1, 1)
        normalised: Tensor = ((images + 1) / 2 - mean_311) / deviation_311
        return normalised


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.attn = _Attention(width)
        self.ls1 = _LayerScale(width)
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)
        self.mlp = nn.Sequential(
            OrderedDict(
                fc1=nn.Linear(width, MLP_RATIO * width),
                act=nn.GELU(),
                fc2=nn.Linear(MLP_RATIO * width, width),
            )
        )
        self.ls2 = _LayerScale(width)

    def forward(self, x_BPD: Tensor) -> Tensor:
        x_BPD = x_BPD + self.ls1(self.attn(self.norm1(x_BPD)))
        out: Tensor = x_BPD + self.ls2(self.mlp(self.norm2(x_BPD)))
        return out


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x_BPD: Tensor) -> Tensor:
        heads = self.qkv(x_BPD).unflatten(2, (3, -1, HEAD_WIDTH))
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.proj(y.transpose(1, 2).flatten(2))
        return out


class _LayerScale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x_BPD: Tensor) -> Tensor:
        return x_BPD * self.gamma
