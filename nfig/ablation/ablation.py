"""Trains each variant with the same budget, measures it, and writes a row: JSON, then a table.

A variant with a row is not trained again, and one that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nfig import checkpoint
from nfig.ablation.measure import Networks, held_out_by, measure
from nfig.ablation.table import write_table
from nfig.ablation.variants import Variant
from nfig.config import ModelConfig
from nfig.data import LabelledImages, load_images
from nfig.evaluation.classifier import classifier_digest, load_classifier
from nfig.evaluation.efficientnet import load_efficientnet
from nfig.evaluation.subject import FEWEST, check_classifier
from nfig.training import runs
from nfig.training.loop import TrainingResult
from nfig.training.options import TrainingOptions
from nfig.training.reporting import Reporter
from nfig.training.run_folder import RunFolder
from nfig.training.schedule import Shares


@dataclass(frozen=True, kw_only=True)
class AblationOptions:
    """Raises ValueError that names the bad field."""

    classifier: Path
    """A file of `nfig train classifier`, whose features compare images."""
    tokenizer_steps: int | None = None
    transformer_steps: int | None = None
    minutes: float | None = None
    """Of each of the two trainings, in place of steps."""
    batch_size: int = 64
    samples: int = 1600
    """To draw with guidance, and as many without."""
    seed: int = 0
    """Of weights, order of the data and samples."""
    device: str = "cpu"
    """Of the trainings (nfig.training.devices)."""
    scorer: bool = False
    """Whether EfficientNet-Lite0 compares the images, too."""

    def __post_init__(self) -> None:
        given = {self.tokenizer_steps is not None, self.transformer_steps is not None}
        if given != {self.minutes is None}:
            raise ValueError("give either tokenizer_steps and transformer_steps, or minutes")
        for name in ("tokenizer_steps", "transformer_steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be 1 or more: {value}")
        if self.samples < FEWEST:
            raise ValueError(f"samples must be {FEWEST} or more: {self.samples}")

    @property
    def budget(self) -> dict[str, Any]:
        """What all rows of a table share."""
        names = ("tokenizer_steps", "transformer_steps", "minutes", "batch_size", "samples")
        return {name: getattr(self, name) for name in names}


def run_ablation(
    variants: Sequence[Variant],
    base: ModelConfig,
    data_file: Path,
    out: Path,
    options: AblationOptions,
    *,
    reporter: Reporter,
) -> Path | None:
    """Returns the table's path, or None if it was stopped before the last row.

    Raises ValueError, before anything is trained, that names what does not fit.
    """
    configs = [variant.config(base) for variant in variants]
    ablation = _Ablation(load_images(data_file), out, options, reporter)
    are_known = [ablation.is_known(config) for config in configs]
    for variant, config, is_known in zip(variants, configs, are_known, strict=True):
        reporter.say(f"{config.name}, seed {options.seed}: {variant.question}")
        if not is_known and not ablation.add(variant, config):
            return None
        table = write_table(out)
    return table


class _Ablation:
    """One data set, one seed, one budget."""

    def __init__(
        self, data: LabelledImages, out: Path, options: AblationOptions, reporter: Reporter
    ) -> None:
        self.data, self.out, self.options, self.reporter = data, out, options, reporter
        classifier = load_classifier(options.classifier)
        check_classifier(classifier, data)
        networks: Networks = {"classifier": classifier.features}
        if options.scorer:
            networks["efficientnet_lite0"] = load_efficientnet()
        training, held_out = data.split()
        if min(len(training), len(held_out)) < FEWEST:
            raise ValueError(f"data: {FEWEST} training and {FEWEST} held-out images are needed")
        self.real = held_out_by(networks, training, held_out, options.samples, reporter=reporter)
        self.classifier = classifier
        self.conditions = {
            **options.budget,
            "data_digest": data.digest,
            "classifier_digest": classifier_digest(options.classifier),
        }

    def is_known(self, config: ModelConfig) -> bool:
        """Whether there is a row. Raises ValueError if its conditions were others."""
        file = self._file(config)
        if not file.exists():
            return False
        row = json.loads(file.read_text(encoding="utf-8"))
        for name, value in self.conditions.items():
            if row["conditions"][name] != value:
                raise ValueError(f"out: {file} has another {name}: {row['conditions'][name]}")
        return True

    def add(self, variant: Variant, config: ModelConfig) -> bool:
        """Trains and measures; False if it was stopped."""
        name = self._file(config).stem
        tokenizer, model = (self.out / "checkpoints" / f"{name}-{part}" for part in _PARTS)
        first, second = (RunFolder(f"{name}-{part}", root=self.out / "runs") for part in _PARTS)
        learnt = self._train_tokenizer(config, first)
        if not learnt.finished:
            return False
        runs.publish(first, tokenizer)
        predicted = self._train_transformer(config, second, tokenizer)
        if not predicted.finished:
            return False
        digest = runs.publish(second, model)
        row = {
            "variant": variant.name,
            "question": variant.question,
            "seed": self.options.seed,
            "conditions": self.conditions,
            "checkpoint": digest,
            "training": {"tokenizer": _cost(learnt), "transformer": _cost(predicted)},
            **self._measure(model),
        }
        _write(self._file(config), json.dumps(row, indent=2, allow_nan=False) + "\n")
        return True

    def _measure(self, folder: Path) -> dict[str, Any]:
        return measure(
            checkpoint.load(folder),
            self.real,
            self.classifier,
            count=self.options.samples,
            seed=self.options.seed,
            reporter=self.reporter,
        )

    def _train_tokenizer(self, config: ModelConfig, run: RunFolder) -> TrainingResult:
        options = self._training(self.options.tokenizer_steps, weight_decay=1e-4)
        return runs.train_tokenizer(
            config, self.data, run=run, options=options, reporter=self.reporter
        )

    def _train_transformer(
        self, config: ModelConfig, run: RunFolder, tokenizer: Path
    ) -> TrainingResult:
        return runs.train_transformer(
            config,
            self.data,
            tokenizer_from=tokenizer,
            run=run,
            options=self._training(self.options.transformer_steps, clip_norm=2.0),
            reporter=self.reporter,
        )

    def _training(self, steps: int | None, **others: float) -> TrainingOptions:
        """What `nfig train` does by default, for the budget's steps or minutes."""
        given: dict[str, Any] = {
            "batch_size": self.options.batch_size,
            "seed": self.options.seed,
            "device": self.options.device,
            **others,
        }
        if steps is None:
            return TrainingOptions(minutes=self.options.minutes, **given)
        training, _ = self.data.split()
        whole = Shares(TrainingOptions(epochs=1, **given), num_examples=len(training))
        return TrainingOptions(epochs=steps / whole.steps_per_epoch, **given)

    def _file(self, config: ModelConfig) -> Path:
        return self.out / f"{config.name}-seed-{self.options.seed}.json"


_PARTS = ("tokenizer", "transformer")


def _cost(result: TrainingResult) -> dict[str, float]:
    return {"steps": result.step, "seconds": round(result.seconds, 1)}


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
