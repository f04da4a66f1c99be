"""The next-frequency transformer: predicts all tokens of one band from the bands before it."""

from __future__ import annotations

from nfig.transformer.cache import KVCache
from nfig.transformer.transformer import Condition, NextFrequencyTransformer

__all__ = ["Condition", "KVCache", "NextFrequencyTransformer"]
