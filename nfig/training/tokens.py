"""The tokens of whole data sets: encoded once, kept in a file.

Shape legend: N images, L all tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from nfig.data import LabelledImages
from nfig.tokenizer import FRVAE
from nfig.training import processes
from nfig.training.devices import device_of

ENCODING_BATCH = 200


def cached_tokens(
    tokenizer: FRVAE, data: Sequence[LabelledImages], cache: Path | None
) -> list[Tensor]:
    """One (N, L) per data set, int16 or wider. `cache`: a file that keeps them."""
    with processes.main_first():
        return _tokens(tokenizer, data, cache)


def _tokens(tokenizer: FRVAE, data: Sequence[LabelledImages], cache: Path | None) -> list[Tensor]:
    if cache is not None and cache.exists():
        kept: list[Tensor] = torch.load(cache, weights_only=True)
        return kept
    tokens = [_encode_all(tokenizer, part) for part in data]
    if cache is not None:
        torch.save(tokens, cache)
    return tokens


@torch.no_grad()
def _encode_all(tokenizer: FRVAE, data: LabelledImages) -> Tensor:
    """int16 or wider (N, L)."""
    small = tokenizer.config.codebook_size <= torch.iinfo(torch.int16).max + 1
    device = device_of(tokenizer)
    batches = [
        torch.cat(tokenizer.encode(data.images(rows).to(device)), dim=1).to(
            "cpu", torch.int16 if small else torch.int32
        )
        for rows in torch.arange(len(data)).split(ENCODING_BATCH)
    ]
    return torch.cat(batches)
