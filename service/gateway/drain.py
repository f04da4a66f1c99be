"""A gateway on its way out: what its caller can go on with elsewhere is cut short."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Leaving(Exception):
    """This gateway is about to stop; another one can go on."""


class Drain:
    """One per gateway. Everything that is not cut short is finished, as far as its grace allows."""

    def __init__(self) -> None:
        self._begun = False
        self._limits: set[asyncio.Timeout] = set()

    @property
    def begun(self) -> bool:
        """From now on this gateway is not ready."""
        return self._begun

    def begin(self) -> None:
        """Once the listener is closed, so that nobody comes back to it."""
        self._begun = True
        for limit in self._limits:
            limit.reschedule(0.0)

    @asynccontextmanager
    async def cut_short(self) -> AsyncGenerator[None]:
        """Ends the block as soon as the drain begins. Raises Leaving."""
        limit = asyncio.timeout_at(0.0 if self._begun else None)
        try:
            async with limit:
                self._limits.add(limit)
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise Leaving from None
        finally:
            self._limits.discard(limit)
