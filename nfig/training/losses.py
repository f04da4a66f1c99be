"""How far a decoded image is from its original. No network is needed for any of these.

Shape legend: 3YX RGB image in [-1, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class ReconstructionWeights:
    """Weights of the terms of `reconstruction_loss`."""

    squared: float = 2.0
    absolute: float = 0.5
    edges: float = 0.25
    """Of the difference between neighbouring pixels: edges that are missing or doubled."""


def reconstruction_loss(
    decoded_B3YX: Tensor, images_B3YX: Tensor, weights: ReconstructionWeights
) -> Tensor:
    """Paper: pixel L2, LPIPS and a GAN; ours has no second network, L1 and edges keep it sharp."""
    loss = weights.squared * F.mse_loss(decoded_B3YX, images_B3YX)
    loss = loss + weights.absolute * F.l1_loss(decoded_B3YX, images_B3YX)
    if weights.edges:
        error_B3YX = decoded_B3YX - images_B3YX
        edges = error_B3YX.diff(dim=2).abs().mean() + error_B3YX.diff(dim=3).abs().mean()
        loss = loss + weights.edges * edges
    return loss


def psnr(mean_squared_error: float) -> float:
    """Peak signal-to-noise ratio in dB of pixels in [-1, 1]."""
    return 10 * math.log10(4 / max(mean_squared_error, 1e-12))


def squared_error(decoded_B3YX: Tensor, images_B3YX: Tensor) -> float:
    """Mean over everything, as a number."""
    with torch.no_grad():
        return float(F.mse_loss(decoded_B3YX.float(), images_B3YX))
