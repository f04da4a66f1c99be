"""Laws of data sets read from files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nfig.data import LabelledImages, load_images


def write(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def pixels(count: int, *, side: int = 4) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3)).astype(np.uint8)


def test_a_file_is_read_with_the_names_beside_it(tmp_path: Path) -> None:
    x, y = pixels(3), np.array([0, 1, 1], dtype=np.uint8)
    (tmp_path / "classes.json").write_text(json.dumps(["cat", "dog"]))
    data = load_images(write(tmp_path / "data.npz", x=x, y=y))
    assert np.array_equal(data.pixels, x)
    assert data.labels.tolist() == [0, 1, 1]
    assert data.class_names == ("cat", "dog")
    assert data.image_size == 4


def test_classes_without_names_are_called_by_number(tmp_path: Path) -> None:
    data = load_images(write(tmp_path / "data.npz", x=pixels(2), y=np.array([0, 2])))
    assert data.class_names == ("0", "1", "2")


def test_the_last_of_each_class_are_held_out_and_no_image_is_lost() -> None:
    labels = np.array([0, 1] * 10 + [0] * 5)
    data = LabelledImages(pixels=pixels(25), labels=labels, class_names=("a", "b"))
    training, held_out = data.split(3)
    assert len(training) + len(held_out) == 25
    for label in (0, 1):
        own = data.pixels[labels == label]
        assert np.array_equal(held_out.pixels[held_out.labels == label], own[-3:])
        assert np.array_equal(training.pixels[training.labels == label], own[:-3])


def test_a_small_class_keeps_half_for_training() -> None:
    data = LabelledImages(pixels=pixels(3), labels=np.zeros(3, np.int64), class_names=("a",))
    training, held_out = data.split(100)
    assert (len(training), len(held_out)) == (2, 1)


def test_images_come_as_asked_in_range() -> None:
    data = LabelledImages(pixels=pixels(3), labels=np.zeros(3, np.int64), class_names=("a",))
    images = data.images(torch.tensor([2, 0]))
    assert images.shape == (2, 3, 4, 4)
    expected = data.pixels[2].transpose(2, 0, 1) / 127.5 - 1
    np.testing.assert_allclose(images[0].numpy(), expected, atol=1e-6)


def test_the_digest_is_of_pixels_and_labels() -> None:
    data = LabelledImages(pixels=pixels(3), labels=np.zeros(3, np.int64), class_names=("a",))
    renamed = LabelledImages(pixels=data.pixels, labels=data.labels, class_names=("b",))
    relabelled = LabelledImages(pixels=data.pixels, labels=data.labels + 1, class_names=("a", "b"))
    assert data.digest == renamed.digest != relabelled.digest


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": pixels(2)}, "x and y"),
        ({"x": pixels(2) / 255, "y": np.zeros(2, int)}, "uint8"),
        ({"x": pixels(2)[:, :3], "y": np.zeros(2, int)}, "square"),
        ({"x": pixels(2), "y": np.zeros(3, int)}, "one whole number per image"),
        ({"x": pixels(2), "y": np.zeros(2)}, "one whole number per image"),
        ({"x": pixels(2), "y": np.array([0, -1])}, "labels from 0"),
        ({"x": pixels(0), "y": np.zeros(0, int)}, "labels from 0"),
    ],
)
def test_what_is_not_such_a_data_set_is_refused(
    arrays: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        load_images(write(tmp_path / "data.npz", **arrays))


def test_files_that_are_no_data_set_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no file"):
        load_images(tmp_path / "missing.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(ValueError, match="not an .npz"):
        load_images(tmp_path / "text.npz")
    np.savez(tmp_path / "data.npz", x=pixels(2), y=np.array([0, 2]))
    (tmp_path / "classes.json").write_text('["cat"]')
    with pytest.raises(ValueError, match="at least 3 class names"):
        load_images(tmp_path / "data.npz")
