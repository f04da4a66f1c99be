"""A whole model: the tokenizer and the transformer that belong together, and their config."""

from __future__ import annotations

import torch
from torch import nn

from nfig.config import ModelConfig
from nfig.tokenizer import FRVAE
from nfig.transformer import NextFrequencyTransformer


class NFIGModel(nn.Module):
    """What a checkpoint holds, and what `nfig.generation` draws with."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = FRVAE(config.tokenizer)
        self.transformer = NextFrequencyTransformer(config.transformer, config.tokenizer)

    @property
    def device(self) -> torch.device:
        return self.transformer.position_LD.device

    @property
    def num_bands(self) -> int:
        return self.config.tokenizer.num_bands
