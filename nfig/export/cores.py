"""How many threads a batch draws with, where several processes of a host share its cores.

Batches of two or more keep to this process's share: one thread each is the cheapest way to draw two
of them at once. A lone row would leave the other cores idle, so it may have more. Tokens do not
depend on the number of threads (nfig/transformer/linear.py); pixels do, so decoders have one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Self

import torch

VARIABLE = "NFIG_LONE_THREADS"


@dataclass(frozen=True, kw_only=True)
class Cores:
    """Threads of this process."""

    share: int
    lone: int

    @classmethod
    def of_process(cls) -> Self:
        """As torch was told, and as the environment says. Raises ValueError that names it."""
        share = torch.get_num_threads()
        text = os.environ.get(VARIABLE, str(share))
        if not text.isdecimal() or int(text) < 1:
            raise ValueError(f"{VARIABLE} must be a whole number from 1 on, not {text!r}")
        return cls(share=share, lone=int(text))

    def use_for(self, batch_size: int) -> None:
        """Sets the threads of whoever calls, until the next call."""
        if self.lone != self.share:
            torch.set_num_threads(self.lone if batch_size == 1 else self.share)
