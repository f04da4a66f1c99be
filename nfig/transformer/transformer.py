"""The next-frequency transformer (NFIG section 3.3, on VAR's backbone).

Band k's tokens are predicted together from the canvas of bands 0 to k - 1, resampled to band k's
grid: p(v_0 .. v_K-1) = prod_k p(v_k | v_0 .. v_k-1, class). Band 0 starts from the class alone.

One `forward` for training (all bands, block-causal mask), one `band_states` for generation (one
band, no mask, cache). Both go through the same blocks.

Shape legend: B batch rows, C latent channels, L all tokens, l tokens of one band, M tokens of
some bands from band 1 on, D width, N heads, V codebook size, K bands.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, pairwise
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nfig.config import TokenizerConfig, TransformerConfig
from nfig.transformer.block import Block, modulate
from nfig.transformer.cache import KVCache
from nfig.transformer.initialization import initialize, initialize_positions, temper
from nfig.transformer.linear import SteadyLinear, steady_linear

DROP_PATH_PER_BLOCK = 0.1 / 24


@dataclass(frozen=True, kw_only=True, eq=False)
class Condition:
    """All that a class label does, computed once per generation: it is the same for every band."""

    class_BD: Tensor
    blocks: tuple[Tensor, ...]
    """Per block (6, B, 1, D)."""
    head_2B1D: Tensor
    """Scale and shift before the head."""

    def first_rows(self, count: int) -> Self:
        return replace(
            self,
            class_BD=self.class_BD[:count],
            blocks=tuple(block_6B1D[:, :count] for block_6B1D in self.blocks),
            head_2B1D=self.head_2B1D[:, :count],
        )

    def overwrite(self, other: Self) -> None:
        """Becomes a copy of one for as many rows, in the memory that it has."""
        pairs = zip(self.blocks, other.blocks, strict=True)
        for old, new in (
            (self.class_BD, other.class_BD),
            (self.head_2B1D, other.head_2B1D),
            *pairs,
        ):
            old.copy_(new)


class NextFrequencyTransformer(nn.Module):
    """Logits of every band's tokens, given the bands before it and a class label."""

    band_of_token: Tensor

    def __init__(self, config: TransformerConfig, tokenizer: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.latent_channels = tokenizer.latent_channels
        ends = list(accumulate((side * side for side in tokenizer.grid_sides), initial=0))
        self.band_columns = tuple(slice(start, end) for start, end in pairwise(ends))
        self.num_tokens = tokenizer.num_tokens
        width, num_bands = config.width, tokenizer.num_bands

        self.word = SteadyLinear(tokenizer.latent_channels, width)
        self.class_embedding = nn.Embedding(config.num_classes + 1, width)
        self.start_lD = nn.Parameter(torch.empty(self.band_columns[0].stop, width))
        self.position_LD = nn.Parameter(torch.empty(self.num_tokens, width))
        self.band_embedding = nn.Embedding(num_bands, width)
        rates = torch.linspace(0, DROP_PATH_PER_BLOCK * config.depth, config.depth, device="cpu")
        self.blocks = nn.ModuleList(
            Block(width, config.num_heads, drop_path=rate) for rate in rates.tolist()
        )
        self.head_modulation = SteadyLinear(width, 2 * width)
        self.head = SteadyLinear(width, tokenizer.codebook_size)
        bands = [band for band, columns in enumerate(self.band_columns) for _ in _indices(columns)]
        self.register_buffer("band_of_token", torch.tensor(bands), persistent=False)

        initialize(self, width=width)
        initialize_positions(self.start_lD, self.position_LD, width=width)
        temper(list(self._blocks()), head=self.head, head_modulation=self.head_modulation)

    @property
    def no_class(self) -> int:
        """The label that stands for "no class" in guidance."""
        return self.config.num_classes

    def forward(self, class_labels_B: Tensor, inputs_BMC: Tensor) -> Tensor:
        """Logits (B, l_0 + M, V) of all bands that have inputs, at least in float32.

        `inputs_BMC` holds the inputs of bands 1, 2, .. one after another (`FRVAE.next_input`), of
        all bands in training (M = L - l_0), or of the first few. Band 0 has none: it starts from
        the class. In training mode a share of the labels becomes "no class".
        """
        num_tokens = self.band_columns[0].stop + inputs_BMC.shape[1]
        assert num_tokens in {columns.stop for columns in self.band_columns}, inputs_BMC.shape
        if self.training and self.config.class_dropout > 0:
            dropped_B = torch.rand_like(class_labels_B, dtype=torch.float32)
            dropped_B = dropped_B < self.config.class_dropout
            class_labels_B = torch.where(dropped_B, self.no_class, class_labels_B)
        condition = self.condition(class_labels_B)
        start_BlD = condition.class_BD.unsqueeze(1) + self.start_lD
        x_BLD = torch.cat([start_BlD, self._embed(inputs_BMC)], dim=1)
        x_BLD = x_BLD + self._places(slice(0, num_tokens))
        bands_L = self.band_of_token[:num_tokens]
        # Full attention within a band, none to the bands after it.
        mask_LL = bands_L.unsqueeze(1) >= bands_L
        for block, modulations in zip(self._blocks(), condition.blocks, strict=True):
            x_BLD = block(x_BLD, modulations, mask_lt=mask_LL)
        return self.logits(self._states(x_BLD, condition))

    def condition(self, class_labels_B: Tensor) -> Condition:
        """What the given classes do to every block. `no_class` is a label too."""
        class_BD = self.class_embedding(class_labels_B)
        activated_BD = F.silu(class_BD)
        head_BX: Tensor = self.head_modulation(activated_BD)
        return Condition(
            class_BD=class_BD,
            blocks=tuple(block.modulations(activated_BD) for block in self._blocks()),
            head_2B1D=head_BX.view(class_BD.shape[0], 2, 1, -1).transpose(0, 1),
        )

    def new_cache(self, num_rows: int) -> KVCache:
        """Room for all bands of `num_rows` rows, in the weights' dtype and device."""
        heads, head_width = self.config.num_heads, self.config.head_width
        return KVCache.allocate(
            depth=self.config.depth,
            shape_BNLE=(num_rows, heads, self.num_tokens, head_width),
            like=self.position_LD,
        )

    def band_states(
        self, band: int, inputs_BlC: Tensor | None, condition: Condition, cache: KVCache
    ) -> Tensor:
        """What `logits` takes of one band (B, l, D), at least in float32; fills its cache.

        Bands must come in order from 0. Band 0 has no inputs, the others have theirs.
        """
        assert (inputs_BlC is None) == (band == 0), f"inputs of band {band}"
        columns = self.band_columns[band]
        if inputs_BlC is None:
            x_BlD = condition.class_BD.unsqueeze(1) + self.start_lD
        else:
            x_BlD = self._embed(inputs_BlC)
        x_BlD = x_BlD + self._places(columns)
        for index, block in enumerate(self._blocks()):
            remember = partial(cache.append, index, columns)
            x_BlD = block(x_BlD, condition.blocks[index], remember=remember)
        return self._states(x_BlD, condition)

    def logits(self, states_BlD: Tensor) -> Tensor:
        """The head (B, l, V), at least in float32: linear, so guidance may come before it."""
        dtype = states_BlD.dtype
        with torch.autocast(states_BlD.device.type, enabled=False):
            return steady_linear(states_BlD, self.head.weight.to(dtype), self.head.bias.to(dtype))

    def _blocks(self) -> list[Block]:
        return [block for block in self.blocks if isinstance(block, Block)]

    def _embed(self, inputs_BlC: Tensor) -> Tensor:
        # The tokenizer may run in another precision.
        x_BlD: Tensor = self.word(inputs_BlC.to(self.word.weight.dtype))
        return x_BlD

    def _places(self, columns: slice) -> Tensor:
        band_lD: Tensor = self.band_embedding(self.band_of_token[columns])
        return self.position_LD[columns] + band_lD

    def _states(self, x_BlD: Tensor, condition: Condition) -> Tensor:
        # Half precision would blur the differences that sampling lives on.
        dtype = torch.promote_types(self.head.weight.dtype, torch.float32)
        with torch.autocast(x_BlD.device.type, enabled=False):
            scale_B1D, shift_B1D = condition.head_2B1D.to(dtype).unbind(0)
            return modulate(x_BlD.to(dtype), scale_B1D=scale_B1D, shift_B1D=shift_B1D)


def _indices(columns: slice) -> range:
    return range(columns.start, columns.stop)
