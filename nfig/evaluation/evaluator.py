"""Measures a checkpoint: draws samples, reconstructs held-out images, compares, writes the report.

`evaluation.json` holds the figures, `index.html` the same with pictures. What each figure means is
in docs/evaluation.md.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nfig.config import Profile
from nfig.evaluation import efficientnet, frechet
from nfig.evaluation.classifier import class_accuracy
from nfig.evaluation.comparison import (
    FeatureSets,
    ImageSets,
    distance_figures,
    extract_all,
    precision_recall_figures,
)
from nfig.evaluation.efficientnet import EfficientNetLite0, load_efficientnet
from nfig.evaluation.memorising import (
    low_pass_pixels,
    memorising_figures,
    neighbours_of_samples,
)
from nfig.evaluation.page import write_page
from nfig.evaluation.pictures import Shown, write_pictures
from nfig.evaluation.previews import preview_figures
from nfig.evaluation.reconstruction import reconstruct, reconstruction_figures, take_spectra
from nfig.evaluation.reference import Reference, load_reference, reference_figures
from nfig.evaluation.samples import draw_samples
from nfig.evaluation.subject import FEWEST, Subject, load_subject
from nfig.training.reporting import Reporter

REPORT = "evaluation.json"
STRIPS = 16
NO_CLASSIFIER = (
    "class_accuracy and frechet.classifier are null: no classifier was given "
    "(`nfig train classifier` makes one)"
)
OTHER_DATA = (
    "the checkpoint was trained on other data than this: images that are held out here may have "
    "been among it"
)


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """Raises ValueError that names the bad field."""

    count: int = 4000
    """Samples to draw."""
    seed: int = 0
    """Of the samples."""
    classifier: Path | None = None
    """A file of `nfig train classifier`."""
    statistics: Path | None = None
    """Reference statistics (nfig.evaluation.reference), which need `network`."""
    network: Path | None = None
    """The ONNX file of the network that the statistics are of."""
    profile: Profile | None = None
    """Of the samples and of the decoder (nfig.profile); the checkpoint's own if None."""

    def __post_init__(self) -> None:
        if (self.statistics is None) != (self.network is None):
            raise ValueError(
                "statistics: they are of a network's features, so give `network` beside them: its "
                "weights as an ONNX file (docs/evaluation.md)"
            )
        if self.count < FEWEST:
            raise ValueError(f"count must be {FEWEST} or more: {self.count}")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Measured:
    figures: dict[str, Any]
    shown: Shown


def evaluate(
    model: Path, data: Path, out: Path, options: EvaluationOptions, reporter: Reporter
) -> Path:
    """Writes report, page and pictures into `out`; returns the page's path.

    Raises ValueError that names what is wrong with what was given; nothing has been written then.
    """
    subject = load_subject(model, data, options.classifier, profile=options.profile)
    reference = _reference(subject, options)
    measured = _measure(subject, load_efficientnet(), options, reporter, reference)
    choices = {"count": options.count, "seed": options.seed}
    report = {
        "identity": {
            **subject.identity,
            **choices,
            "scorer_weights": efficientnet.SHA256,
            "reference": reference and reference.identity,
        },
        "notes": _notes(subject),
        **measured.figures,
    }
    write_pictures(out, measured.shown)
    page = write_page(out, report, measured.shown.spectra)
    _write(out / REPORT, json.dumps(report, indent=2, allow_nan=False) + "\n")
    return page


def _measure(
    subject: Subject,
    scorer: EfficientNetLite0,
    options: EvaluationOptions,
    reporter: Reporter,
    reference: Reference | None,
) -> _Measured:
    model, held_out = subject.model, subject.held_out
    samples = draw_samples(
        model, count=options.count, seed=options.seed, strips=STRIPS, reporter=reporter
    )
    reconstructions = reconstruct(model.tokenizer, held_out.pixels, reporter=reporter)
    images = ImageSets(
        samples=samples.images,
        training=subject.training,
        held_out=held_out,
        reconstructions=reconstructions.whole,
    )
    features = extract_all(scorer, images, name="EfficientNet-Lite0", reporter=reporter)
    classified = _by_classifier(subject, images, reporter)
    pixels = extract_all(low_pass_pixels, images, name="low-pass", reporter=reporter)
    neighbours, pixel_neighbours = neighbours_of_samples(features), neighbours_of_samples(pixels)
    spectra = take_spectra(reconstructions, model.config.tokenizer.grid_sides)
    figures = {
        "frechet": {
            "method": frechet.METHOD,
            "efficientnet_lite0": distance_figures(features, reporter=reporter),
            "classifier": classified and distance_figures(classified, reporter=reporter),
            "reference": reference and reference_figures(reference, images, reporter=reporter),
        },
        "precision_recall": precision_recall_figures(features),
        "class_accuracy": _accuracy(subject, images, reporter),
        "reconstruction": reconstruction_figures(reconstructions, spectra),
        "previews": preview_figures(model.tokenizer, held_out.pixels, reporter=reporter),
        "memorising": {
            **memorising_figures(features, neighbours),
            "low_pass_pixels": memorising_figures(pixels, pixel_neighbours),
            "classifier": classified
            and memorising_figures(classified, neighbours_of_samples(classified)),
        },
    }
    shown = Shown(
        samples=samples,
        training=subject.training,
        neighbours=neighbours,
        pixel_neighbours=pixel_neighbours,
        reconstructions=reconstructions,
        spectra=spectra,
    )
    return _Measured(figures=figures, shown=shown)


def _reference(subject: Subject, options: EvaluationOptions) -> Reference | None:
    if options.statistics is None or options.network is None:
        return None
    side = subject.model.config.tokenizer.image_size
    return load_reference(options.statistics, options.network, image_size=side)


def _notes(subject: Subject) -> list[str]:
    """What a reader of the figures must know."""
    trained_on = subject.identity["checkpoint"]["trained_on_data"]
    notes = [] if subject.classifier is not None else [NO_CLASSIFIER]
    if set(trained_on) - {subject.identity["data"]["digest"]}:
        notes.append(OTHER_DATA)
    return notes


def _by_classifier(subject: Subject, images: ImageSets, reporter: Reporter) -> FeatureSets | None:
    if subject.classifier is None:
        return None
    network = subject.classifier.features
    return extract_all(network, images, name="classifier", reporter=reporter)


def _accuracy(subject: Subject, images: ImageSets, reporter: Reporter) -> dict[str, float] | None:
    if subject.classifier is None:
        return None
    return {
        "samples": class_accuracy(subject.classifier, images.samples, reporter),
        "held_out_images": class_accuracy(subject.classifier, images.held_out, reporter),
    }


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
