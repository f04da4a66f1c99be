"""Draws docs/images/samples.png and variations.png anew: `.venv/bin/python docs/pictures.py`.

The film strip is `make demo ARGS="--class animal --seed 7"`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nfig.drawing import draw_many, labels_in_turn
from nfig.images import image_grid, save_png
from nfig.pipeline import NFIGPipeline

IMAGES = Path(__file__).parent / "images"
VARIED, OTHER = "open_peep", "lorelei"
KEPT = (1, 2, 3, 4)
SAME_CLASS, OTHER_CLASS = 5, 4
ENLARGED = 2


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


def main() -> None:
    pipeline = NFIGPipeline.from_pretrained("checkpoints/avatars-64")
    variations(pipeline)
    samples(pipeline)


if __name__ == "__main__":
    main()
