"""Whether samples are copies: how near they are to training images, seen in several ways.

Held-out images say what is usual: no training of ours has seen them, yet some look like a training
image. A model that memorises draws images that are nearer than these.

Shape legend: B batch rows, F features, N images of a set, k neighbours, 3YX RGB image in [-1, 1].
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from nfig.evaluation.comparison import FeatureSets
from nfig.evaluation.manifolds import Nearest, nearest

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
LOW_PASS_SIDE = 16
"""Pixels per edge that are left: copies with other fine detail are copies, too."""
SHOWN_NEIGHBOURS = 3
LEVELS = 127.5
"""Of 8 bits, per unit of a pixel in [-1, 1]."""


def low_pass_pixels(images_B3YX: Tensor) -> Tensor:
    """(B, F), whose Euclidean distance is the root mean square difference in levels of 8 bits."""
    side = min(LOW_PASS_SIDE, images_B3YX.shape[-1])
    pixels_BF = F.adaptive_avg_pool2d(images_B3YX, side).flatten(1)
    scaled: Tensor = pixels_BF * (LEVELS / pixels_BF.shape[1] ** 0.5)
    return scaled


def neighbours_of_samples(features: FeatureSets) -> Nearest:
    """Among all training images."""
    return nearest(features.samples, features.training, count=SHOWN_NEIGHBOURS)


def memorising_figures(features: FeatureSets, neighbours: Nearest) -> dict[str, Any]:
    """How near to a training image samples are, and images that the model has never seen."""
    samples = neighbours.distances_Nk[:, 0]
    held_out = nearest(features.held_out, features.training, count=1).distances_Nk[:, 0]
    near = samples < np.quantile(held_out, 0.01)
    return {
        "quantiles": list(QUANTILES),
        "samples": np.quantile(samples, QUANTILES).tolist(),
        "held_out_images": np.quantile(held_out, QUANTILES).tolist(),
        "samples_nearer_than_1_in_100_held_out_images": float(near.mean()),
    }
