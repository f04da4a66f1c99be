"""Compares sets of images by what one network sees in them.

Shape legend: N images of a set, k neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from nfig.data import LabelledImages
from nfig.evaluation import frechet
from nfig.evaluation.features import extract
from nfig.evaluation.manifolds import (
    NEIGHBOURS,
    Features,
    precision_recall,
)
from nfig.images import Pixels
from nfig.training.reporting import Reporter


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageSets:
    """What is compared."""

    samples: LabelledImages
    """All classes in turn."""
    training: LabelledImages
    held_out: LabelledImages
    reconstructions: Pixels
    """Of the held-out images, in their order."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureSets:
    """The same sets as one network sees them."""

    images: ImageSets
    samples: Features
    training: Features
    held_out: Features
    reconstructions: Features

    def alike(self, count: int) -> tuple[Features, Features, Features]:
        """Samples, training and held-out images, at most `count` of each, spread over classes."""
        training = spread(self.images.training.labels, count)
        held_out = spread(self.images.held_out.labels, count)
        return self.samples[:count], self.training[training], self.held_out[held_out]


def spread(labels: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """At most `count` rows, of each class as many as its share."""
    by_class = np.argsort(labels, kind="stable")
    places = np.linspace(0, len(labels) - 1, min(count, len(labels)))
    rows: npt.NDArray[np.int64] = by_class[places.round().astype(np.int64)]
    return rows


def extract_all(
    network: Callable[[Tensor], Tensor], images: ImageSets, *, name: str, reporter: Reporter
) -> FeatureSets:
    """Runs every set through the network; `name` is the network's, for people to read."""

    def of(pixels: Pixels, what: str) -> Features:
        return extract(network, pixels, what=f"{name} features, {what}", reporter=reporter)

    return FeatureSets(
        images=images,
        samples=of(images.samples.pixels, "samples"),
        training=of(images.training.pixels, "training images"),
        held_out=of(images.held_out.pixels, "held-out images"),
        reconstructions=of(images.reconstructions, "reconstructions"),
    )


def distance_figures(features: FeatureSets, *, reporter: Reporter) -> dict[str, Any]:
    """Fréchet distances to the held-out images; the floor has as many images as the samples."""
    count = min(len(features.samples), len(features.training))
    samples, training, _ = features.alike(count)
    sets = {
        "samples": samples,
        "floor": training,
        "reconstructions": features.reconstructions,
    }
    figures = {}
    for index, (name, others) in enumerate(sets.items(), start=1):
        paired = name == "reconstructions"
        figures[name] = asdict(frechet.estimate(others, features.held_out, paired=paired))
        reporter.step(progress=index / len(sets), figures={"Fréchet distances": index})
    return figures


def precision_recall_figures(features: FeatureSets) -> dict[str, Any]:
    """Of samples, and of real training images in their place, all sets of equal size."""
    count = min(len(features.samples), len(features.training), len(features.held_out))
    samples, training, held_out = features.alike(count)
    return {
        "k": NEIGHBOURS,
        "count": count,
        "samples": asdict(precision_recall(samples, held_out)),
        "training_images": asdict(precision_recall(training, held_out)),
    }
