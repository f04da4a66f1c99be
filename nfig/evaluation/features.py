"""Runs images through a network batch by batch, showing how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from nfig.evaluation.manifolds import Features
from nfig.images import Pixels, to_tensor
from nfig.training.reporting import Reporter

BATCH = 64


def in_batches(count: int, size: int, *, what: str, reporter: Reporter) -> Iterator[slice]:
    """Slices of `size` rows that cover all; each is reported when the next is asked for."""
    for start in range(0, count, size):
        stop = min(start + size, count)
        yield slice(start, stop)
        reporter.step(progress=stop / count, figures={what: stop})


@torch.no_grad()
def extract(
    network: Callable[[Tensor], Tensor], pixels: Pixels, *, what: str, reporter: Reporter
) -> Features:
    """What the network says of each image (N, side, side, 3)."""
    batches = [
        network(to_tensor(pixels[rows]))
        for rows in in_batches(len(pixels), BATCH, what=what, reporter=reporter)
    ]
    features: Features = torch.cat(batches).float().numpy()
    return features
