"""How memory comes from the system and goes back to it, where the C library can be told (glibc)."""

from __future__ import annotations

import ctypes
import platform
import sys
from typing import Any

LARGE_BYTES = 8 * 2**20
"""Smaller ones would be mapped, filled with zeros and given back too often."""
_MMAP_THRESHOLD = -3
"""Of mallopt."""


def map_large_tensors() -> None:
    """From now on a tensor of 8 MiB or more has a mapping of its own, which goes with it.

    Left alone, glibc raises that size with each tensor that is freed, up to 32 MiB, and what is
    below leaves gaps in the heap: a twelfth of what nfig-d16 takes at its peak.
    """
    if libc := _glibc():
        libc.mallopt(_MMAP_THRESHOLD, LARGE_BYTES)


def give_back_memory() -> None:
    """To the system, what has been freed: layers that took each other's place leave gaps."""
    if libc := _glibc():
        libc.malloc_trim(0)


def _glibc() -> Any:
    """None elsewhere."""
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return None
    return ctypes.CDLL("libc.so.6")
