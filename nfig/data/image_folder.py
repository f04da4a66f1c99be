"""Turns a folder with a folder of images for each class into one data set file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from nfig.data.files import DataSetFiles
from nfig.data.labelled_images import LabelledImages

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"}
BACKGROUND = "white"
"""What shows through where an image is transparent."""


def pack_folder(folder: Path, out: Path, *, side: int) -> LabelledImages:
    """Crops each image to its central square and scales it to `side`; writes `out`.

    The classes are the folders' names in order; an `ATTRIBUTION.md` in `folder` goes along. Raises
    ValueError if the folder holds no such images, or if `out` is taken.
    """
    if side < 1:
        raise ValueError(f"side must be 1 or more: {side}")
    found = _image_files(folder)
    attribution = folder / "ATTRIBUTION.md"
    files = DataSetFiles(
        path=out,
        class_names=tuple(found),
        attribution=attribution.read_text(encoding="utf-8") if attribution.exists() else "",
    )
    files.refuse_to_overwrite()
    sizes = [len(images) for images in found.values()]
    packed = LabelledImages(
        pixels=np.stack([_read(file, side=side) for images in found.values() for file in images]),
        labels=np.repeat(np.arange(len(found)), sizes),
        class_names=files.class_names,
    )
    files.write(packed)
    return packed


def _image_files(folder: Path) -> dict[str, list[Path]]:
    if not folder.is_dir():
        raise ValueError(f"images: no folder {folder}")
    found: dict[str, list[Path]] = {}
    for inner in sorted(path for path in folder.iterdir() if path.is_dir()):
        images = [file for file in inner.iterdir() if file.suffix.lower() in SUFFIXES]
        if not images:
            raise ValueError(f"images: no images in {inner}")
        found[inner.name] = sorted(images, key=_shuffled)
    if not found:
        raise ValueError(f"images: no folders of classes in {folder}")
    return found


def _shuffled(file: Path) -> str:
    """By chance, but always the same: training holds out the last ones of each class."""
    return hashlib.sha256(file.name.encode()).hexdigest()


def _read(file: Path, *, side: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    try:
        with Image.open(file) as opened:
            image = ImageOps.exif_transpose(opened).convert("RGBA")
    except (OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"images: {file} cannot be read ({error})") from None
    fitted = ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS)
    flat = Image.new("RGBA", fitted.size, BACKGROUND)
    flat.alpha_composite(fitted)
    return np.asarray(flat.convert("RGB"))
