"""VAR's transformer as its authors' published inference runs it: the baseline's larger half.

Written anew from the paper and the published code's behaviour: eager, keys and values that grow by
concatenation, the class's modulations computed anew in every block of every band, both halves of
guidance in one batch. Its parameters have the names and shapes of `nfig.transformer`'s, so that
weights of the one load into the other and a test can hold their logits equal.

Shape legend: B batch rows, C latent channels, L all tokens, l tokens of one band, D width, N heads,
E head width, V codebook size.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nfig.config import TokenizerConfig, TransformerConfig

EPS = 1e-6
INITIAL_SCALE, LARGEST_SCALE = math.log(4), math.log(100)


class PublishedAttention(nn.Module):
    """Cosine attention with a learned scale per head; remembers what it has seen if told to."""

    zero_bias: Tensor

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.query_bias = nn.Parameter(torch.zeros(width))
        self.value_bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("zero_bias", torch.zeros(width), persistent=False)
        self.log_head_scale = nn.Parameter(torch.full((num_heads, 1, 1), INITIAL_SCALE))
        self.project = nn.Linear(width, width)
        self.seen: tuple[Tensor, Tensor] | None = None

    def forward(self, x_BlD: Tensor) -> Tensor:
        rows, length, width = x_BlD.shape
        bias = torch.cat((self.query_bias, self.zero_bias, self.value_bias))
        qkv = F.linear(x_BlD, self.qkv.weight, bias).view(rows, length, 3, self.num_heads, -1)
        queries, keys, values = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        queries = F.normalize(queries, dim=-1).mul(
            self.log_head_scale.clamp_max(LARGEST_SCALE).exp()
        )
        keys = F.normalize(keys, dim=-1)
        if self.seen is not None:
            keys = torch.cat((self.seen[0], keys), dim=2)
            values = torch.cat((self.seen[1], values), dim=2)
        self.seen = (keys, values)
        attended = F.scaled_dot_product_attention(queries, keys, values, scale=1.0)
        out: Tensor = self.project(attended.transpose(1, 2).reshape(rows, length, width))
        return out


class PublishedBlock(nn.Module):
    """Attention, then the MLP, both modulated by the class."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.attention = PublishedAttention(width, num_heads)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)
        self.modulation = nn.Linear(width, 6 * width)

    def forward(self, x_BlD: Tensor, class_BD: Tensor) -> Tensor:
        width = x_BlD.shape[-1]
        modulations = self.modulation(F.silu(class_BD)).view(-1, 1, 6, width).unbind(2)
        gate_a, scale_a, shift_a, gate_m, scale_m, shift_m = modulations
        branch = F.layer_norm(x_BlD, (width,), eps=EPS).mul(scale_a.add(1)).add_(shift_a)
        x_BlD = x_BlD + self.attention(branch).mul_(gate_a)
        branch = F.layer_norm(x_BlD, (width,), eps=EPS).mul(scale_m.add(1)).add_(shift_m)
        branch = self.contract(F.gelu(self.expand(branch), approximate="tanh"))
        x_BlD = x_BlD + branch.mul(gate_m)
        return x_BlD


class PublishedTransformer(nn.Module):
    """Logits of one band after another, for labels and "no class" in one doubled batch."""

    def __init__(self, config: TransformerConfig, tokenizer: TokenizerConfig) -> None:
        super().__init__()
        width = config.width
        self.no_class = config.num_classes
        self.grid_sides = tokenizer.grid_sides
        self.word = nn.Linear(tokenizer.latent_channels, width)
        self.class_embedding = nn.Embedding(config.num_classes + 1, width)
        self.start_lD = nn.Parameter(torch.randn(tokenizer.grid_sides[0] ** 2, width))
        self.position_LD = nn.Parameter(torch.randn(tokenizer.num_tokens, width))
        self.band_embedding = nn.Embedding(tokenizer.num_bands, width)
        self.blocks = nn.ModuleList(
            PublishedBlock(width, config.num_heads) for _ in range(config.depth)
        )
        self.head_modulation = nn.Linear(width, 2 * width)
        self.head = nn.Linear(width, tokenizer.codebook_size)

    def start(self, labels_B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Class embeddings (2B, D), places (L, D) and the first band's input (2B, l, D)."""
        labels = torch.cat((labels_B, torch.full_like(labels_B, self.no_class)))
        class_BD = self.class_embedding(labels)
        sides = torch.tensor([side * side for side in self.grid_sides], device=labels.device)
        bands_L = torch.repeat_interleave(sides)
        places_LD = self.band_embedding(bands_L) + self.position_LD
        first_BlD = class_BD.unsqueeze(1) + self.start_lD + places_LD[: len(self.start_lD)]
        return class_BD, places_LD, first_BlD

    def embed(self, inputs_BlC: Tensor, places_lD: Tensor) -> Tensor:
        """The next band's input, doubled for guidance: (2B, l, D)."""
        x_BlD: Tensor = self.word(inputs_BlC) + places_lD
        return x_BlD.repeat(2, 1, 1)

    def forward(self, x_BlD: Tensor, class_BD: Tensor) -> Tensor:
        """Logits (2B, l, V) in float32 or more; the blocks keep the band."""
        for block in self.blocks:
            x_BlD = block(x_BlD, class_BD)
        x_BlD = x_BlD.to(torch.promote_types(x_BlD.dtype, torch.float32))
        width = x_BlD.shape[-1]
        scale, shift = self.head_modulation(F.silu(class_BD)).view(-1, 1, 2, width).unbind(2)
        x_BlD = F.layer_norm(x_BlD, (width,), eps=EPS).mul(scale.add(1)).add_(shift)
        logits_BlV: Tensor = self.head(x_BlD.to(torch.promote_types(x_BlD.dtype, torch.float32)))
        return logits_BlV.to(torch.promote_types(logits_BlV.dtype, torch.float32))

    def forget(self) -> None:
        """Lets go of keys and values."""
        for block in self.blocks:
            assert isinstance(block, PublishedBlock)
            block.attention.seen = None
