"""Laws of drawing many images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nfig import checkpoint
from nfig.drawing import BATCH, draw_many, labels_in_turn
from nfig.images import decode_image
from nfig.model import NFIGModel


@pytest.fixture(scope="module")
def model(tiny_checkpoint: Path) -> NFIGModel:
    return checkpoint.load(tiny_checkpoint)


def test_classes_come_in_turn_or_as_asked(model: NFIGModel) -> None:
    assert labels_in_turn(model.config, None, count=7) == [0, 1, 2, 3, 4, 0, 1]
    assert labels_in_turn(model.config, "cat", count=2) == [2, 2]
    assert labels_in_turn(model.config, "4", count=1) == [4]


@pytest.mark.parametrize("name", ["cow", "5", "-1", ""])
def test_classes_that_are_not_there_are_refused(model: NFIGModel, name: str) -> None:
    with pytest.raises(ValueError, match="class must be"):
        labels_in_turn(model.config, name, count=1)


def test_an_image_does_not_depend_on_those_drawn_with_it(model: NFIGModel) -> None:
    many = draw_many(model, [0, 1] * BATCH, seed=3)
    assert many.pixels.shape == (2 * BATCH, 32, 32, 3)
    few = draw_many(model, [1, 1, 1], seed=3)
    assert np.array_equal(few.pixels, many.pixels[1:6:2])
    assert len({image.tobytes() for image in many.pixels}) == 2 * BATCH


def test_another_seed_draws_other_images(model: NFIGModel) -> None:
    assert not np.array_equal(
        draw_many(model, [0], seed=3).pixels, draw_many(model, [0], seed=4).pixels
    )


def test_options_reach_the_generation(model: NFIGModel) -> None:
    greedy = {"temperature": 0.0, "guidance_scale": 0.0}
    drawn = draw_many(model, [0, 0], seed=3, options=greedy)
    assert np.array_equal(drawn.pixels[0], drawn.pixels[1])
    with pytest.raises(ValueError, match="top_p"):
        draw_many(model, [0], seed=3, options={"top_p": 2})


def test_images_are_saved_as_arrays_or_as_a_grid(model: NFIGModel, tmp_path: Path) -> None:
    drawn = draw_many(model, [0, 1, 2], seed=3)
    drawn.save(tmp_path / "new" / "images.npz")
    with np.load(tmp_path / "new" / "images.npz") as file:
        assert np.array_equal(file["x"], drawn.pixels)
        assert file["x"].dtype == np.uint8
        assert file["y"].tolist() == [0, 1, 2]
    drawn.save(tmp_path / "grid.png")
    assert decode_image((tmp_path / "grid.png").read_bytes()).shape == (70, 70, 3)
