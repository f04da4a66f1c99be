"""The terms of a tokenizer's loss, and what each weighs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LossTerms:
    """Weights; 0 leaves a term out. Raises ValueError that names the bad field.

    Paper: 1 for each of these (appendix B.1). The latent's term is off by default, because the
    commitment pulls at the same difference, and the perceptual one, because it needs a package.
    """

    pixel: float = 1.0
    """Of `nfig.training.losses`, whose parts have weights of their own."""
    latent: float = 0.0
    """Of |latent - canvas|^2 after the last band."""
    perceptual: float = 0.0
    """Of `nfig.training.perceptual`, which needs a package with weights."""

    def __post_init__(self) -> None:
        for name, weight in dataclasses.asdict(self).items():
            if not 0 <= weight < float("inf"):
                raise ValueError(f"{name} must be 0 or more: {weight}")

    def changed(self) -> dict[str, float]:
        """Those that are not at their default, for the facts of a run."""
        defaults = dataclasses.asdict(LossTerms())
        weights = dataclasses.asdict(self)
        return {name: weight for name, weight in weights.items() if weight != defaults[name]}
