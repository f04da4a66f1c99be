"""A small network that tells the classes of real images apart, to score others by.

It only scores: no model is ever trained on it. On disk it is one safetensors file with its config
in the metadata.

Shape legend: B batch rows, F features, 3YX RGB image in [-1, 1].
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from nfig.data import LabelledImages
from nfig.evaluation.features import extract, in_batches
from nfig.training.options import TrainingOptions
from nfig.training.reporting import Reporter
from nfig.training.schedule import BatchOrder, learning_rate

WIDTHS = (16, 32, 64, 128)


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    image_size: int
    num_classes: int
    data_digest: str
    """Of the data that it was trained on, held-out images included."""
    held_out_accuracy: float = 0.0


class Classifier(nn.Module):
    """Each stage halves the side; the mean of the last feature map is classified."""

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        stages = zip((3, *WIDTHS), WIDTHS, strict=False)
        self.stages = nn.Sequential(*(_stage(inputs, outputs) for inputs, outputs in stages))
        self.head = nn.Linear(WIDTHS[-1], config.num_classes)

    def features(self, images_B3YX: Tensor) -> Tensor:
        """(B, F), before the last layer."""
        pooled_BF: Tensor = self.stages(images_B3YX).mean((2, 3))
        return pooled_BF

    def forward(self, images_B3YX: Tensor) -> Tensor:
        """Logits, one per class."""
        logits: Tensor = self.head(self.features(images_B3YX))
        return logits


def train_and_save(
    data: LabelledImages, out: Path, options: TrainingOptions, reporter: Reporter
) -> Classifier:
    """As `train_classifier`, into a file. Raises ValueError, before it trains, on a bad name."""
    if out.suffix != ".safetensors":
        raise ValueError(f"out must end in .safetensors: {out}")
    classifier = train_classifier(data, options, reporter)
    save_classifier(classifier, out)
    return classifier


def train_classifier(
    data: LabelledImages, options: TrainingOptions, reporter: Reporter
) -> Classifier:
    """Trained on the training images, measured on the held-out ones. By epochs, not minutes."""
    training, held_out = data.split()
    if not len(held_out):
        raise ValueError("data: a class needs two images or more, one to be held out")
    config = ClassifierConfig(
        image_size=data.image_size, num_classes=len(data.class_names), data_digest=data.digest
    )
    with torch.random.fork_rng():
        torch.manual_seed(options.seed)
        classifier = Classifier(config)
    _fit(classifier, training, options, reporter)
    classifier.eval().requires_grad_(False)
    accuracy = class_accuracy(classifier, held_out, reporter)
    classifier.config = dataclasses.replace(config, held_out_accuracy=accuracy)
    return classifier


def class_accuracy(classifier: Classifier, images: LabelledImages, reporter: Reporter) -> float:
    """Share of images whose label the classifier guesses."""
    logits = extract(classifier, images.pixels, what="images classified", reporter=reporter)
    return float((logits.argmax(1) == images.labels).mean())


def save_classifier(classifier: Classifier, file: Path) -> None:
    """In one move."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.partial")
    config = json.dumps(dataclasses.asdict(classifier.config))
    weights = {name: value.contiguous() for name, value in classifier.state_dict().items()}
    save_file(weights, partial, metadata={"format": "pt", "config": config})
    partial.chmod(0o644)
    os.replace(partial, file)


def load_classifier(file: Path) -> Classifier:
    """For inference. Raises ValueError if it is not a classifier's file."""
    if not file.is_file():
        raise ValueError(f"classifier: no file {file}")
    try:
        with safe_open(file, framework="pt") as opened:
            config = ClassifierConfig(**json.loads((opened.metadata() or {})["config"]))
            weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        classifier = Classifier(config)
        classifier.load_state_dict(weights)
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError, RuntimeError):
        raise ValueError(f"classifier: {file} was not written by `nfig train classifier`") from None
    return classifier.eval().requires_grad_(False)


def classifier_digest(file: Path) -> str:
    """SHA-256 of the file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _fit(
    classifier: Classifier, training: LabelledImages, options: TrainingOptions, reporter: Reporter
) -> None:
    order = BatchOrder(num_examples=len(training), batch_size=options.batch_size, seed=options.seed)
    optimizer = torch.optim.AdamW(
        classifier.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
    )
    labels = torch.from_numpy(training.labels)
    assert options.epochs is not None
    steps = max(round(options.epochs * order.steps_per_epoch), 1)
    for rows in in_batches(steps, 1, what="step", reporter=reporter):
        step = rows.start
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(options, step=step, progress=step / steps)
        batch = order.rows(step)
        loss = F.cross_entropy(classifier(training.images(batch)), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _stage(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )
