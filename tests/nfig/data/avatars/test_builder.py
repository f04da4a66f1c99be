"""Laws of the whole set, whoever draws it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from nfig import checkpoint
from nfig.data import load_images
from nfig.data.avatars import build
from nfig.data.avatars.builder import FILE, mixed_labels
from nfig.data.avatars.classes import CLASSES, AvatarClass
from nfig.data.avatars.distinct import Draw, Pixels
from nfig.data.avatars.drawers import SIDE, DrawerOf

ROOT = Path(__file__).parents[4]


@contextmanager
def chance_drawers() -> Iterator[DrawerOf]:
    """Draws one colour for each seed."""

    def draw(seed: str) -> Pixels:
        colour = np.frombuffer(bytes.fromhex(seed)[:3], np.uint8)
        return np.broadcast_to(colour, (SIDE, SIDE, 3))

    def drawer_of(kind: AvatarClass) -> Draw:
        return draw

    yield drawer_of


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        build(tmp_path / name, per_class=3, seed=seed, drawers=chance_drawers)
    files = [(tmp_path / name / FILE).read_bytes() for name in "abc"]
    assert files[0] == files[1] != files[2]


def test_more_images_of_a_class_begin_with_the_fewer(tmp_path: Path) -> None:
    few = build(tmp_path / "few", per_class=3, seed=0, drawers=chance_drawers)
    many = build(tmp_path / "many", per_class=5, seed=0, drawers=chance_drawers)
    for label in range(len(CLASSES)):
        own = many.pixels[many.labels == label]
        assert np.array_equal(own[:3], few.pixels[few.labels == label])


def test_what_another_set_holds_out_is_left_out(tmp_path: Path) -> None:
    other = build(tmp_path / "other", per_class=4, seed=0, drawers=chance_drawers)
    _, held_out = other.split()
    beside = build(
        tmp_path / "beside",
        per_class=4,
        seed=0,
        apart_from=tmp_path / "other" / FILE,
        drawers=chance_drawers,
    )
    drawn = {image.tobytes() for image in beside.pixels}
    assert len(held_out) > 0
    assert not any(image.tobytes() in drawn for image in held_out.pixels)
    shared = sum(image.tobytes() in drawn for image in other.pixels)
    assert shared == len(other) - len(held_out)


def test_the_set_is_read_with_its_names_and_goes_with_its_attribution(tmp_path: Path) -> None:
    built = build(tmp_path, per_class=2, seed=0, drawers=chance_drawers)
    read = load_images(tmp_path / FILE)
    assert read.digest == built.digest
    assert read.class_names == tuple(kind.name for kind in CLASSES)
    text = (tmp_path / "ATTRIBUTION.md").read_text()
    for kind in CLASSES:
        assert f"- {kind.name}: {kind.art}\n" in text


def test_the_classes_are_the_shipped_models() -> None:
    config = json.loads((ROOT / "checkpoints" / "avatars-64" / checkpoint.CONFIG).read_text())
    assert config["class_names"] == [kind.name for kind in CLASSES]


def test_the_classes_are_mixed_and_each_is_whole() -> None:
    labels = mixed_labels(40, seed=0)
    assert np.bincount(labels).tolist() == [40] * len(CLASSES)
    assert len(set(labels[:40].tolist())) > len(CLASSES) // 2


def test_what_is_wrong_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    for options, message in (({"per_class": 0}, "per_class"), ({"seed": -1}, "seed")):
        with pytest.raises(ValueError, match=message):
            build(tmp_path / "out", **{"per_class": 1, "seed": 0, **options})
    assert not (tmp_path / "out").exists()
    (tmp_path / FILE).write_text("precious")
    with pytest.raises(ValueError, match="exists"):
        build(tmp_path, per_class=1, seed=0)
    assert (tmp_path / FILE).read_text() == "precious"
