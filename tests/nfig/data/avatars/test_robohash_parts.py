"""Laws of drawing from parts."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import numpy as np
import pytest

from nfig.data.avatars import robohash_parts
from nfig.data.avatars.classes import CLASSES, AvatarClass
from nfig.data.avatars.distinct import image_seed

SEEDS = [image_seed(0, "robot", index) for index in range(60)]
BACKGROUNDS = ("00ff00", "ffffff")


def test_a_later_layer_is_pasted_on_the_earlier_and_on_the_background(parts_folder: Path) -> None:
    parts = robohash_parts.load_parts(parts_folder, backgrounds=BACKGROUNDS, side=16)
    seen = set()
    for seed in SEEDS:
        pixels = parts.draw(seed)
        assert pixels.shape == (16, 16, 3)
        places = (pixels[1, 1], pixels[12, 2], pixels[12, 13])
        dot, half, background = (tuple(place.tolist()) for place in places)
        assert dot in {(0, 0, 0), (128, 128, 128)}
        assert half in {(0, 0, 255), (255, 0, 0)}
        assert background in {(0, 255, 0), (255, 255, 255)}
        seen.add((dot, half, background))
    assert len(seen) == 8


def test_a_seed_is_an_image(parts_folder: Path) -> None:
    first, again = (
        robohash_parts.load_parts(parts_folder, backgrounds=BACKGROUNDS, side=8) for _ in range(2)
    )
    for seed in SEEDS:
        assert np.array_equal(first.draw(seed), again.draw(seed))


def test_a_set_without_colours_is_read(parts_folder: Path) -> None:
    parts = robohash_parts.load_parts(parts_folder / "red", backgrounds=BACKGROUNDS, side=8)
    assert [len(layer) for layer in parts.colours[0]] == [1, 2]


@pytest.mark.parametrize("kind", [each for each in CLASSES if each.package == "robohash"])
def test_robohashs_sets_fill_the_image(kind: AvatarClass, robohash_sets: Path) -> None:
    folder = robohash_sets / kind.style
    parts = robohash_parts.load_parts(folder, backgrounds=kind.backgrounds, side=32)
    drawn = np.stack([parts.draw(seed) for seed in SEEDS])
    assert len({image.tobytes() for image in drawn}) == len(SEEDS)
    assert drawn.std(axis=0).mean() > 20


def test_another_version_of_robohash_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(ValueError, match=r"robohash 2\.0 is needed, found none"):
        robohash_parts.sets_folder()
