"""Builds the set: draws class by class, mixes the classes, writes the files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from nfig.data.avatars.classes import CLASSES, attribution
from nfig.data.avatars.distinct import Pixels, digest_of, distinct_images
from nfig.data.avatars.drawers import SIDE, DrawerOf, public_packages
from nfig.data.files import DataSetFiles
from nfig.data.labelled_images import LabelledImages, load_images

FILE = "train64.npz"


def build(
    out: Path,
    *,
    per_class: int,
    seed: int,
    apart_from: Path | None = None,
    drawers: Callable[[], AbstractContextManager[DrawerOf]] = public_packages,
) -> LabelledImages:
    """Writes `train64.npz`, `classes.json` and `ATTRIBUTION.md` into the folder `out`. What another
    set, the file `apart_from`, holds out is in none of the images.

    Raises ValueError if an option is wrong, if what draws is missing, or if a set is there.
    """
    if per_class < 1:
        raise ValueError(f"per_class must be 1 or more: {per_class}")
    if seed < 0:
        raise ValueError(f"seed must be 0 or more: {seed}")
    names = tuple(kind.name for kind in CLASSES)
    files = DataSetFiles(path=out / FILE, class_names=names, attribution=attribution())
    files.refuse_to_overwrite()
    labels = mixed_labels(per_class, seed=seed)
    held_out = set() if apart_from is None else _held_out_of(apart_from)
    with drawers() as drawer_of:
        pixels = _draw(labels, drawer_of=drawer_of, seed=seed, apart_from=held_out)
    built = LabelledImages(pixels=pixels, labels=labels, class_names=names)
    files.write(built)
    return built


def mixed_labels(per_class: int, *, seed: int) -> npt.NDArray[np.int64]:
    """Each class `per_class` times, in an order that the seed decides.

    Only the classes are mixed: the images of one class stay in the order they were drawn in.
    """
    labels = np.repeat(np.arange(len(CLASSES), dtype=np.int64), per_class)
    return np.random.default_rng(seed).permutation(labels)


def _held_out_of(file: Path) -> set[bytes]:
    _, held_out = load_images(file).split()
    return {digest_of(image) for image in held_out.pixels}


def _draw(
    labels: npt.NDArray[np.int64],
    *,
    drawer_of: DrawerOf,
    seed: int,
    apart_from: Collection[bytes],
) -> Pixels:
    pixels = np.empty((len(labels), SIDE, SIDE, 3), np.uint8)
    with _progress() as progress:
        for label, kind in enumerate(CLASSES):
            rows = np.flatnonzero(labels == label)
            images = distinct_images(
                drawer_of(kind),
                seed=seed,
                class_name=kind.name,
                count=len(rows),
                apart_from=apart_from,
            )
            shown = _shown(images, name=kind.name, count=len(rows), progress=progress)
            for row, image in zip(rows, shown, strict=True):
                pixels[row] = image
    return pixels


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def _shown(
    images: Iterator[Pixels], *, name: str, count: int, progress: Progress
) -> Iterator[Pixels]:
    """A bar for each class on a terminal, a line for each elsewhere."""
    yield from progress.track(images, total=count, description=name)
    if progress.disable:
        progress.console.print(f"{name}: {count} images", highlight=False)
