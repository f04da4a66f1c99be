"""Keys and values of the bands drawn so far, in memory allocated once per batch.

Every generation has the same L tokens, so the cache never grows: each band writes its own columns
and attention reads a view of all columns up to them.

Shape legend: B batch rows, N heads, L all tokens, l tokens of one band, t tokens up to the end of
that band, E width of a head.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor


class KVCache:
    """Static memory for one batch; bands must be written in order, once each."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        """Both of shape (depth, B, N, L, E)."""
        self._keys = keys
        self._values = values

    @classmethod
    def allocate(cls, *, depth: int, shape_BNLE: tuple[int, int, int, int], like: Tensor) -> Self:
        """Empty memory of the device and dtype of `like`."""
        shape = (depth, *shape_BNLE)
        keys, values = (torch.empty(shape, dtype=like.dtype, device=like.device) for _ in range(2))
        return cls(keys, values)

    @property
    def num_rows(self) -> int:
        return self._keys.shape[1]

    def first_rows(self, count: int) -> Self:
        """The same memory, of the first `count` rows alone."""
        return type(self)(self._keys[:, :count], self._values[:, :count])

    @property
    def num_bytes(self) -> int:
        return 2 * self._keys.numel() * self._keys.element_size()

    def append(
        self, block: int, columns: slice, keys_BNlE: Tensor, values_BNlE: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Store one band of one block; return keys and values of all bands so far (B, N, t, E)."""
        self._keys[block, :, :, columns] = keys_BNlE
        self._values[block, :, :, columns] = values_BNlE
        return self._keys[block, :, :, : columns.stop], self._values[block, :, :, : columns.stop]
