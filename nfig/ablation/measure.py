"""Measures one variant: its reconstructions, and its samples with and without guidance."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from nfig.config import SamplingDefaults
from nfig.data import LabelledImages
from nfig.evaluation import frechet
from nfig.evaluation.classifier import Classifier, class_accuracy
from nfig.evaluation.comparison import spread
from nfig.evaluation.features import extract
from nfig.evaluation.manifolds import Features
from nfig.evaluation.reconstruction import psnr, reconstruct
from nfig.evaluation.samples import draw_samples
from nfig.images import Pixels
from nfig.model import NFIGModel
from nfig.training.reporting import Reporter

Networks = dict[str, Callable[[Tensor], Tensor]]
"""By name; each gives the features that images are compared by."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RealImages:
    """Held-out images as networks see them: the same for every variant."""

    networks: Networks
    held_out: LabelledImages
    features: dict[str, Features]
    floors: dict[str, dict[str, Any]]
    """Distances of as many training images as there are samples."""


def held_out_by(
    networks: Networks,
    training: LabelledImages,
    held_out: LabelledImages,
    count: int,
    *,
    reporter: Reporter,
) -> RealImages:
    """Looks at `count` training images, spread over classes, and at all held-out ones."""
    rows = spread(training.labels, count)
    features, floors = {}, {}
    for name, network in networks.items():
        seen = extract(network, held_out.pixels, what="held-out images", reporter=reporter)
        trained = extract(network, training.pixels[rows], what="training", reporter=reporter)
        features[name] = seen
        floors[name] = asdict(frechet.estimate(trained, seen))
    return RealImages(networks=networks, held_out=held_out, features=features, floors=floors)


def measure(
    model: NFIGModel,
    real: RealImages,
    classifier: Classifier,
    *,
    count: int,
    seed: int,
    reporter: Reporter,
) -> dict[str, Any]:
    """Figures of a row."""
    tokenizer = model.config.tokenizer
    # What was learnt, as it was learnt: a preset's temperature was chosen for one trained model.
    guided = dataclasses.replace(model.config.sampling, temperature=1.0)
    without = dataclasses.replace(guided, guidance_scale=0.0)
    decoded = reconstruct(model.tokenizer, real.held_out.pixels, reporter=reporter)
    samples = {
        name: _draw(model, sampling, count=count, seed=seed, reporter=reporter)
        for name, sampling in (("guided", guided), ("unguided", without))
    }
    pixels = {name: drawn.pixels for name, drawn in samples.items()}
    return {
        "bands": tokenizer.num_bands,
        "tokens": tokenizer.num_tokens,
        "parameters": sum(each.numel() for each in model.parameters()),
        "config": model.config.to_dict(),
        "guidance_scale": guided.guidance_scale,
        "psnr": psnr(decoded.whole, decoded.originals),
        "codebook_used": decoded.codebook_used,
        "frechet": {
            name: _distances(real, name, {"reconstructions": decoded.whole, **pixels}, reporter)
            for name in real.networks
        },
        "class_accuracy": {
            name: class_accuracy(classifier, drawn, reporter) for name, drawn in samples.items()
        },
    }


def _draw(
    model: NFIGModel, sampling: SamplingDefaults, *, count: int, seed: int, reporter: Reporter
) -> LabelledImages:
    drawn = draw_samples(
        model, count=count, seed=seed, strips=1, reporter=reporter, sampling=sampling
    )
    return drawn.images


def _distances(
    real: RealImages, name: str, sets: dict[str, Pixels], reporter: Reporter
) -> dict[str, Any]:
    """Fréchet distances to the held-out images, by the network of that name."""
    figures = {"floor": real.floors[name]}
    for of, pixels in sets.items():
        features = extract(real.networks[name], pixels, what=of, reporter=reporter)
        estimated = frechet.estimate(features, real.features[name], paired=of == "reconstructions")
        figures[of] = asdict(estimated)
    return figures
