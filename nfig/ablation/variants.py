"""The variants: a base model with a choice or two made otherwise."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nfig.config import ModelConfig

BASE = "nfig"


@dataclass(frozen=True, kw_only=True)
class Variant:
    name: str
    question: str
    """What the variant is compared for, to people."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the base's tokenizer that differ."""

    def config(self, base: ModelConfig) -> ModelConfig:
        """Raises ValueError if the base cannot be varied so."""
        try:
            tokenizer = dataclasses.replace(base.tokenizer, **self.changes)
        except ValueError as error:
            raise ValueError(f"variants: {self.name} of {base.name}: {error}") from None
        return dataclasses.replace(base, name=f"{base.name}-{self.name}", tokenizer=tokenizer)


# Sides must rise up to the latent's own, so seven bands cannot be had with the base's tokens.
_ALL = (
    Variant(name=BASE, question="the base: separable bands (DCT), Nyquist-matched"),
    Variant(
        name="radial", question="radial masks (FFT), Nyquist-matched", changes={"basis": "fft"}
    ),
    Variant(
        name="radial-literal",
        question="radial masks (FFT), the paper's band edges taken literally",
        changes={"basis": "fft", "band_edges": "literal"},
    ),
    Variant(
        name="bands-3",
        question="three bands, about as many tokens",
        changes={"grid_sides": (1, 6, 8)},
    ),
    Variant(
        name="bands-6",
        question="six bands, a sixth more tokens",
        changes={"grid_sides": (1, 2, 3, 4, 5, 8)},
    ),
    Variant(
        name="bands-7",
        question="seven bands, half as many tokens again",
        changes={"grid_sides": (1, 2, 3, 4, 5, 6, 8)},
    ),
    Variant(name="var", question="VAR: area resampling", changes={"quantization": "area"}),
)
VARIANTS: dict[str, Variant] = {variant.name: variant for variant in _ALL}


def variants_named(names: str) -> list[Variant]:
    """From a list with commas. Raises ValueError on a name that there is not."""
    chosen = [name.strip() for name in names.split(",")]
    if unknown := [name for name in chosen if name not in VARIANTS]:
        raise ValueError(f"variants must be of {', '.join(VARIANTS)}: {unknown[0]!r}")
    return [VARIANTS[name] for name in dict.fromkeys(chosen)]
