"""Draws what docs/ and the playground show of the model: `.venv/bin/python docs/pictures.py`.

That is docs/images/{samples,variations,bands,stops}.png and the pictures of classes in the
playground. The film strip is `make demo ARGS="--class animal --seed 7"`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from nfig.drawing import draw_many, labels_in_turn
from nfig.frequency import resampling_matrices
from nfig.images import Pixels, image_grid, save_png
from nfig.pipeline import NFIGPipeline

IMAGES = Path(__file__).parent / "images"
VARIED, OTHER = "open_peep", "lorelei"
KEPT = (1, 2, 3, 4)
SAME_CLASS, OTHER_CLASS = 5, 4
ENLARGED = 2
CLASSES = Path(__file__).parents[1] / "service" / "gateway" / "playground" / "classes"
CLASSES_SEED = 7
SPLIT, SPLIT_SEED = "lorelei", 7
SPLIT_ENLARGED = 3
STOPPED = ("animal", "emoji_face", "adventurer")
GAP = 12


def variations(pipeline: NFIGPipeline) -> None:
    """A row per number of kept bands: the picture, then variations of its class and another's."""
    (picture,) = pipeline([VARIED], seed=11).images
    row = []
    for keep_bands in KEPT:
        row.append(picture)
        for name, count in ((VARIED, SAME_CLASS), (OTHER, OTHER_CLASS)):
            varied = pipeline.vary(
                picture, keep_bands=keep_bands, class_label=name, num_images=count, seed=0
            )
            row += varied.images
    pixels = np.stack([np.array(image) for image in row])
    grid = image_grid(pixels, columns=1 + SAME_CLASS + OTHER_CLASS)
    save_png(IMAGES / "variations.png", grid.repeat(ENLARGED, 0).repeat(ENLARGED, 1))


def samples(pipeline: NFIGPipeline) -> None:
    """The first 64 of seed 0, all classes in turn."""
    labels = labels_in_turn(pipeline.config, None, count=64)
    draw_many(pipeline.model, labels, seed=0).save(IMAGES / "samples.png")


def classes(pipeline: NFIGPipeline) -> None:
    """A picture of every class in one row, as the playground cuts them out."""
    images = pipeline(range(pipeline.config.transformer.num_classes), seed=CLASSES_SEED).images
    CLASSES.mkdir(exist_ok=True)
    row = Image.fromarray(np.concatenate([np.array(image) for image in images], axis=1))
    row.save(CLASSES / f"{pipeline.config.name}.webp", quality=90, method=6)


def bands(pipeline: NFIGPipeline) -> None:
    """Above: a picture below the cut-off of each band. Below: what that band alone has added.

    The cut is made in the pixels, where it can be seen; the model makes the same one in its latent.
    """
    (picture,) = pipeline([SPLIT], seed=SPLIT_SEED).images
    pixels_3YX = torch.from_numpy(np.array(picture)).double().permute(2, 0, 1)
    tokenizer = pipeline.config.tokenizer
    kept, added, before = [], [], torch.full_like(pixels_3YX, 127.5)
    for side in tokenizer.grid_sides:
        band_side = side * tokenizer.image_size // tokenizer.grid_sides[-1]
        down, up = resampling_matrices(band_side, latent_side=tokenizer.image_size, basis="dct")
        low_3YX = (up @ down) @ pixels_3YX @ (up @ down).T
        kept.append(_framed(low_3YX))
        added.append(_framed(127.5 + low_3YX - before))
        before = low_3YX
    rows = [np.concatenate(row, axis=1) for row in (kept, added)]
    save_png(IMAGES / "bands.png", np.concatenate(rows))


def stops(pipeline: NFIGPipeline) -> None:
    """A row per class: the same drawing stopped after each band, up to the last."""
    columns = pipeline.config.tokenizer.num_bands
    drawn = [
        pipeline(STOPPED, seed=CLASSES_SEED, bands=count).images for count in range(1, columns + 1)
    ]
    pixels = [
        np.array(image).transpose(2, 0, 1) for row in zip(*drawn, strict=True) for image in row
    ]
    cells = [_framed(torch.from_numpy(each)) for each in pixels]
    rows = [np.concatenate(cells[i : i + columns], axis=1) for i in range(0, len(cells), columns)]
    save_png(IMAGES / "stops.png", np.concatenate(rows))


def _framed(pixels_3YX: torch.Tensor) -> Pixels:
    """Enlarged, with white around it."""
    pixels = pixels_3YX.double().round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    large = pixels.repeat(SPLIT_ENLARGED, 0).repeat(SPLIT_ENLARGED, 1)
    return np.pad(large, ((GAP, GAP), (GAP, GAP), (0, 0)), constant_values=255)


def main() -> None:
    pipeline = NFIGPipeline.from_pretrained("checkpoints/avatars-64")
    variations(pipeline)
    samples(pipeline)
    classes(pipeline)
    bands(pipeline)
    stops(pipeline)


if __name__ == "__main__":
    main()
