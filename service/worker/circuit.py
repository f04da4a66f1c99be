"""A circuit breaker around the engine: one that fails again and again is left alone for a while."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager

from service.domain import ModelCard
from service.engine.engine import BandTokens, Canvas, DrawnBand, Engine, Generation, Pixels
from service.errors import EngineUnavailable

FAILURES = 5
"""In a row; about as many as one generation is tried, so that one that ends its engine each time
counts too."""
REST_SECONDS = 1.0
MAX_REST_SECONDS = 8.0


class Circuit:
    """Closed while the engine works. Open once it has failed too often in a row; after a rest the
    circuit is half open: one probe may pass, which closes it or opens it for twice as long."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._rest_seconds = 0.0
        self._open_until: float | None = None

    @property
    def closed(self) -> bool:
        return self._open_until is None

    def lets_probe_pass(self) -> bool:
        return self._open_until is None or self._clock() >= self._open_until

    def succeed(self) -> None:
        """Of calls that were under way when the circuit opened, too: the engine does work."""
        self._failures, self._rest_seconds, self._open_until = 0, 0.0, None

    def fail(self) -> None:
        self._failures += 1
        if self._failures >= FAILURES and self.lets_probe_pass():
            self._rest_seconds = min(self._rest_seconds * 2 or REST_SECONDS, MAX_REST_SECONDS)
            self._open_until = self._clock() + self._rest_seconds


class GuardedEngine:
    """Keeps `Engine`'s protocol around another one; while the circuit is open all calls but the
    probe, which is `ready`, fail at once and cost the engine nothing."""

    def __init__(self, engine: Engine, circuit: Circuit) -> None:
        self._engine = engine
        self._circuit = circuit

    @property
    def card(self) -> ModelCard:
        return self._engine.card

    async def start(self) -> None:
        await self._engine.start()

    async def ready(self) -> bool:
        if not self._circuit.lets_probe_pass():
            return False
        ready = await self._engine.ready()
        if ready:
            self._circuit.succeed()
        else:
            self._circuit.fail()
        return ready

    async def draw(self, generation: Generation) -> AsyncGenerator[DrawnBand]:
        with self._counted():
            async with aclosing(self._engine.draw(generation)) as bands:
                async for drawn in bands:
                    self._circuit.succeed()
                    yield drawn

    async def decode(self, canvas: Canvas, *, preview_of: int | None = None) -> Pixels:
        with self._counted():
            return await self._engine.decode(canvas, preview_of=preview_of)

    async def encode(self, pixels: Pixels) -> BandTokens:
        with self._counted():
            return await self._engine.encode(pixels)

    async def close(self) -> None:
        await self._engine.close()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        if not self._circuit.closed:
            raise EngineUnavailable("the engine has failed repeatedly and rests", retry_after_s=2.0)
        try:
            yield
        except EngineUnavailable:
            self._circuit.fail()
            raise
