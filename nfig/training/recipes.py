"""How the published transformers were trained, as data: presets of the training options.

What they do not say here, such as warm-up and the average of the weights, stays as in
`TrainingOptions`. NFIG gives a rate, a batch and epochs; the rest of its recipes is VAR's, on whose
backbone it builds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nfig.config import PUBLISHED_DEPTHS
from nfig.training.options import TrainingOptions

RATE_IS_FOR = 256
"""Images per step at which the learning rate is the base rate; more images, a higher rate."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Of one published training."""

    epochs: float
    images_per_step: int
    base_learning_rate: float | None = None
    """For 256 images per step; the rate is in proportion to them."""
    fixed_learning_rate: float | None = None
    """The rate itself. Either this or the base."""
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.05
    clip_norm: float = 2.0

    def __post_init__(self) -> None:
        assert (self.base_learning_rate is None) != (self.fixed_learning_rate is None)

    def learning_rate(self, images_per_step: int) -> float:
        if self.fixed_learning_rate is not None:
            return self.fixed_learning_rate
        assert self.base_learning_rate is not None
        return self.base_learning_rate * images_per_step / RATE_IS_FOR


RECIPES: dict[str, Recipe] = {
    "var-d16": Recipe(epochs=200, images_per_step=768, base_learning_rate=1e-4),
    "var-d20": Recipe(epochs=250, images_per_step=768, base_learning_rate=1e-4),
    "var-d24": Recipe(epochs=350, images_per_step=768, base_learning_rate=8e-5),
    "var-d30": Recipe(epochs=350, images_per_step=1024, base_learning_rate=8e-5),
    **{
        f"nfig-d{depth}": Recipe(epochs=350, images_per_step=768, fixed_learning_rate=8e-5)
        for depth in PUBLISHED_DEPTHS
    },
}
"""By the name of the preset that was trained with it."""


def options_of(
    name: str | None, given: Mapping[str, Any], *, without_recipe: Mapping[str, Any] | None = None
) -> TrainingOptions:
    """The recipe's options, but for those that are given and not None; or those without a recipe.

    Raises ValueError if there is no such recipe, or the options are bad ones.
    """
    chosen = {key: value for key, value in given.items() if value is not None}
    if name is None:
        return TrainingOptions(**{**(without_recipe or {}), **chosen})
    if name not in RECIPES:
        raise ValueError(f"recipe must be one of {', '.join(RECIPES)}: {name!r}")
    recipe = RECIPES[name]
    if "minutes" not in chosen:
        chosen.setdefault("epochs", recipe.epochs)
    accumulate = chosen.get("accumulate", 1)
    if "batch_size" not in chosen:
        chosen["batch_size"] = _batch_size(recipe, accumulate)
    chosen.setdefault("learning_rate", recipe.learning_rate(chosen["batch_size"] * accumulate))
    for key in ("betas", "weight_decay", "clip_norm"):
        chosen.setdefault(key, getattr(recipe, key))
    return TrainingOptions(**chosen)


def _batch_size(recipe: Recipe, accumulate: int) -> int:
    """So that the accumulated batches make up the recipe's images per step."""
    if accumulate < 1 or recipe.images_per_step % accumulate:
        raise ValueError(
            f"accumulate: the recipe's {recipe.images_per_step} images per step "
            f"do not make {accumulate} equal batches"
        )
    return recipe.images_per_step // accumulate
