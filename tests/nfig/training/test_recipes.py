"""The numbers that were published, and how a command line changes them."""

from __future__ import annotations

from typing import Any

import pytest

from nfig.config import PRESETS
from nfig.training.options import TrainingOptions
from nfig.training.recipes import RECIPES, options_of


@pytest.mark.parametrize(
    ("name", "batch", "rate", "epochs"),
    [
        ("var-d16", 768, 3e-4, 200),
        ("var-d20", 768, 3e-4, 250),
        ("var-d24", 768, 2.4e-4, 350),
        ("var-d30", 1024, 3.2e-4, 350),
        ("nfig-d16", 768, 8e-5, 350),
        ("nfig-d20", 768, 8e-5, 350),
        ("nfig-d24", 768, 8e-5, 350),
        ("nfig-d30", 768, 8e-5, 350),
    ],
)
def test_the_numbers_are_the_published_ones(
    name: str, batch: int, rate: float, epochs: int
) -> None:
    options = options_of(name, {})
    assert options.images_per_step == batch
    assert options.learning_rate == pytest.approx(rate)
    assert (options.epochs, options.minutes) == (epochs, None)
    assert options.betas == (0.9, 0.95)
    assert (options.weight_decay, options.clip_norm) == (0.05, 2.0)


def test_every_recipe_is_that_of_a_preset() -> None:
    assert set(RECIPES) == {name for name in PRESETS if "-d" in name}


def test_what_is_given_wins_and_the_rate_follows_the_images_per_step() -> None:
    options = options_of("var-d16", {"batch_size": 64, "accumulate": 2, "minutes": 5.0, "seed": 3})
    assert (options.batch_size, options.accumulate, options.seed) == (64, 2, 3)
    assert (options.minutes, options.epochs) == (5.0, None)
    assert options.learning_rate == pytest.approx(1e-4 * 128 / 256)
    assert options_of("nfig-d16", {"batch_size": 64}).learning_rate == 8e-5
    assert options_of("var-d16", {"learning_rate": 1e-3}).learning_rate == 1e-3


def test_without_a_recipe_the_options_are_the_small_models() -> None:
    options = options_of(None, {"epochs": 1, "batch_size": None}, without_recipe={"clip_norm": 2.0})
    assert options == TrainingOptions(epochs=1, clip_norm=2.0)


def test_accumulated_batches_share_the_recipes_images() -> None:
    options = options_of("var-d16", {"accumulate": 4, "batch_size": None})
    assert (options.batch_size, options.accumulate, options.images_per_step) == (192, 4, 768)
    assert options.learning_rate == pytest.approx(3e-4)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("dall-e", {}, "recipe must be one of"),
        ("var-d16", {"accumulate": 5}, "accumulate"),
        ("var-d16", {"accumulate": 0}, "accumulate"),
        ("var-d16", {"epochs": 1, "minutes": 1}, "either epochs or minutes"),
    ],
)
def test_what_fits_no_recipe_is_refused(name: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        options_of(name, given)
