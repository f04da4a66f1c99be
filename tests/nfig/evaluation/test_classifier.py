"""What the classifier learns, and how it is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nfig.data import LabelledImages, load_images
from nfig.evaluation.classifier import (
    Classifier,
    class_accuracy,
    load_classifier,
    save_classifier,
    train_and_save,
    train_classifier,
)
from nfig.training.options import TrainingOptions
from nfig.training.reporting import Reporter

OPTIONS = TrainingOptions(epochs=12, batch_size=10, learning_rate=3e-3, warmup_steps=5)


@pytest.fixture
def data(data_file: Path) -> LabelledImages:
    return load_images(data_file)


@pytest.fixture
def classifier(data: LabelledImages, reporter: Reporter) -> Classifier:
    return train_classifier(data, OPTIONS, reporter)


def test_classes_that_look_different_are_told_apart(
    classifier: Classifier, data: LabelledImages, reporter: Reporter
) -> None:
    assert classifier.config.held_out_accuracy == 1
    assert class_accuracy(classifier, data, reporter) == 1
    wrong = LabelledImages(
        pixels=data.pixels, labels=(data.labels + 1) % 5, class_names=data.class_names
    )
    assert class_accuracy(classifier, wrong, reporter) == 0


def test_the_same_seed_gives_the_same_weights(
    classifier: Classifier, data: LabelledImages, reporter: Reporter
) -> None:
    again = train_classifier(data, OPTIONS, reporter).state_dict()
    for name, value in classifier.state_dict().items():
        assert torch.equal(value, again[name]), name


def test_a_file_holds_all_of_it(classifier: Classifier, tmp_path: Path) -> None:
    save_classifier(classifier, tmp_path / "new" / "c.safetensors")
    loaded = load_classifier(tmp_path / "new" / "c.safetensors")
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    assert torch.equal(loaded(images), classifier(images))
    assert loaded.config == classifier.config
    assert not list((tmp_path / "new").glob(".*"))


def test_what_is_no_classifier_is_refused(tmp_path: Path, tiny_checkpoint: Path) -> None:
    with pytest.raises(ValueError, match="classifier: no file"):
        load_classifier(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    for file in (tmp_path / "text.safetensors", tiny_checkpoint / "model.safetensors"):
        with pytest.raises(ValueError, match="was not written by `nfig train classifier`"):
            load_classifier(file)


def test_nothing_is_trained_for_a_file_that_could_not_be_written(
    data: LabelledImages, tmp_path: Path, reporter: Reporter
) -> None:
    with pytest.raises(ValueError, match="out must end in .safetensors"):
        train_and_save(data, tmp_path / "c.pt", OPTIONS, reporter)


def test_without_held_out_images_there_is_no_training(reporter: Reporter) -> None:
    one = LabelledImages(
        pixels=np.zeros((1, 32, 32, 3), np.uint8), labels=np.array([0]), class_names=("a",)
    )
    with pytest.raises(ValueError, match="data: a class needs two images"):
        train_classifier(one, OPTIONS, reporter)
