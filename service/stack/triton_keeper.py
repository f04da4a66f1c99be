"""Whoever runs Triton has to start it anew when it dies, in whole or in part; here, the stack.

A process of a model that crashes leaves a Triton that calls itself ready, so the worker's word is
taken: its canary asks each model for something real.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from service.stack.processes import PartFailed

DOUBT_SECONDS = 15.0
"""For so long the worker may find that Triton does not draw; longer than it rests at most between
two canaries after failures. Each start anew is given twice as long as the one before: where a
machine is slow, or the worker's word old, Triton must not be ended just before it draws."""
MAX_RESTARTS = 5
"""In a row, without an engine that was ready in between."""


class Restartable(Protocol):
    """What is needed of Triton."""

    @property
    def name(self) -> str: ...

    def exit_status(self) -> int | None: ...

    def restart(self) -> None:
        """At the same addresses. Raises PartFailed."""


class TritonKeeper:
    """Asked again and again to `look`."""

    def __init__(
        self,
        triton: Restartable,
        engine_draws: Callable[[], bool | None],
        *,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`engine_draws` is what workers say; None where nobody can tell."""
        self._triton = triton
        self._engine_draws = engine_draws
        self._say = say
        self._clock = clock
        self._doubted_at: float | None = None
        self._restarts = 0

    def look(self) -> None:
        """Raises PartFailed if it does not help to start it anew."""
        if (status := self._triton.exit_status()) is not None:
            self._restart(f"ended with status {status}")
            return
        draws = self._engine_draws()
        if draws is not False:
            self._doubted_at = None
            self._restarts = 0 if draws else self._restarts
            return
        now = self._clock()
        self._doubted_at = now if self._doubted_at is None else self._doubted_at
        if now - self._doubted_at >= DOUBT_SECONDS * 2**self._restarts:
            self._restart("does not draw")

    def _restart(self, problem: str) -> None:
        if self._restarts == MAX_RESTARTS:
            raise PartFailed(self._triton.name, f"{problem}, however often it is started anew")
        self._restarts += 1
        self._doubted_at = None
        self._say(f"{self._triton.name} {problem}: it is started anew")
        self._triton.restart()
