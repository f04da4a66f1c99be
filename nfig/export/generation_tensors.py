"""From the tensors of a request to the transformer to the generation that they ask for.

Bands that are given instead of being drawn come as one tensor of a fixed length, given or not, so
that the requests of a batch are alike.

Shape legend: L tokens of all bands, band after band and row-major in each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nfig.generation import NO_TOKEN, Generation


def read_generation(
    tensors: Mapping[str, npt.NDArray[Any]], grid_sides: Sequence[int]
) -> Generation:
    """Raises ValueError that names the bad field."""
    fields: dict[str, Any] = {}
    for name, values in tensors.items():
        if name == "kept":
            fields[name] = split_kept(values.ravel(), grid_sides)
        elif values.shape != (1, 1):
            raise ValueError(f"{name} must have shape (1, 1), not {values.shape}")
        else:
            fields[name] = values.item()
    return Generation(**fields)


def split_kept(
    kept_L: npt.NDArray[np.int32], grid_sides: Sequence[int]
) -> tuple[tuple[int, ...], ...]:
    """Whole bands up to the first NO_TOKEN, after which there may be nothing else.

    Raises ValueError that names the field.
    """
    lengths = [side * side for side in grid_sides]
    if kept_L.shape != (sum(lengths),):
        raise ValueError(f"kept must have shape ({sum(lengths)},), not {kept_L.shape}")
    given_L = kept_L != NO_TOKEN
    num_given = int(given_L.sum())
    ends = [0, *np.cumsum(lengths).tolist()]
    if num_given not in ends or not given_L[:num_given].all():
        raise ValueError(f"kept must be whole bands, then {NO_TOKEN} alone")
    bounds = [(start, end) for start, end in zip(ends, ends[1:], strict=False) if end <= num_given]
    return tuple(tuple(kept_L[start:end].tolist()) for start, end in bounds)
