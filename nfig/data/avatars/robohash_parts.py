"""Draws robohash's sets from their PNG parts, which are loaded and made small once.

A part folder is named `<order of choosing>#<order of pasting><part>`; set1 has a folder of part
folders for each colour.
"""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from nfig.data.avatars.distinct import Pixels

T = TypeVar("T")

VERSION = "2.0"


@dataclass(frozen=True, kw_only=True)
class PartSet:
    """One set of parts that fit each other."""

    colours: tuple[tuple[tuple[Image.Image, ...], ...], ...]
    """For each colour the layers from back to front, for each layer its parts."""
    backgrounds: tuple[str, ...]
    side: int

    def draw(self, seed: str) -> Pixels:
        dice = _Dice(seed)
        image = Image.new("RGBA", (self.side, self.side), f"#{dice.choose(self.backgrounds)}")
        for parts in dice.choose(self.colours):
            image.alpha_composite(dice.choose(parts))
        return np.asarray(image)[..., :3]


def load_parts(folder: Path, *, backgrounds: tuple[str, ...], side: int) -> PartSet:
    """Reads a set's folder."""
    inner = sorted(path for path in folder.iterdir() if path.is_dir())
    colours = [folder] if any("#" in path.name for path in inner) else inner
    return PartSet(
        colours=tuple(_load_layers(colour, side=side) for colour in colours),
        backgrounds=backgrounds,
        side=side,
    )


def sets_folder() -> Path:
    """Where robohash keeps its sets. Raises ValueError if it is missing or of another version."""
    try:
        robohash = importlib.metadata.distribution("robohash")
    except importlib.metadata.PackageNotFoundError:
        found = "none"
    else:
        found = robohash.version
    if found != VERSION:
        raise ValueError(
            f"data: robohash {VERSION} is needed, found {found}: pip install robohash=={VERSION}"
        )
    return Path(str(robohash.locate_file("robohash/sets")))


def _load_layers(folder: Path, *, side: int) -> tuple[tuple[Image.Image, ...], ...]:
    layers = sorted(
        (path for path in folder.iterdir() if "#" in path.name),
        key=lambda path: path.name.partition("#")[2],
    )
    return tuple(
        tuple(_load_part(file, side=side) for file in sorted(layer.glob("*.png")))
        for layer in layers
    )


def _load_part(file: Path, *, side: int) -> Image.Image:
    with Image.open(file) as image:
        return image.convert("RGBA").resize((side, side), Image.Resampling.LANCZOS)


class _Dice:
    """Choices that the digits of a seed decide, alike in every version of Python."""

    def __init__(self, seed: str) -> None:
        self._number = int(seed, 16)

    def choose(self, options: tuple[T, ...]) -> T:
        self._number, index = divmod(self._number, len(options))
        return options[index]
