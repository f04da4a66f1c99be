"""The gateway's short memory of models and workers, so that a burst of requests asks Redis once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

from service.domain import ModelCard
from service.errors import EngineUnavailable, QueueUnavailable, UnknownModel
from service.jobs.pace import Pace, mean_pace
from service.jobs.queue import JobQueue, Shedding, WorkerStatus

T = TypeVar("T")
EngineState = Literal["ready", "not_ready", "absent"]

ENGINE_RETRY_SECONDS = 5.0
"""About what an engine needs to come back."""


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The models that are registered and the workers that are alive, at one moment."""

    cards: Sequence[ModelCard]
    workers: Sequence[WorkerStatus]

    def card(self, model: str | None, *, field: str = "model") -> ModelCard:
        """The named model; without a name, the first by name that can draw, or else the first.

        Raises UnknownModel, EngineUnavailable.
        """
        if not self.cards:
            raise EngineUnavailable(
                "no model is registered yet: no worker has reported",
                retry_after_s=ENGINE_RETRY_SECONDS,
            )
        if model is None:
            able = (card for card in self.cards if self.engine_state(card.id) == "ready")
            return next(able, self.cards[0])
        for card in self.cards:
            if card.id == model:
                return card
        known = ", ".join(card.id for card in self.cards[:5])
        raise UnknownModel(f"{field} is not one that is registered here: {known}", field=field)

    def engine_state(self, model: str) -> EngineState:
        """`ready`, `not_ready` (workers wait for it) or `absent` (no worker is alive)."""
        states = [worker.engine_ready for worker in self.workers if worker.model == model]
        if not states:
            return "absent"
        return "ready" if any(states) else "not_ready"

    def require_engine(self, model: str) -> None:
        """Raises EngineUnavailable unless some live worker's engine can draw the model."""
        state = self.engine_state(model)
        if state != "ready":
            reason = "no worker is alive" if state == "absent" else "the engine is not ready"
            raise EngineUnavailable(
                f"model {model} cannot be drawn now: {reason}", retry_after_s=ENGINE_RETRY_SECONDS
            )

    def pace(self, model: str) -> Pace | None:
        """How fast the workers that can draw the model do so together; None without any."""
        return self._paces.get(model)

    @cached_property
    def _paces(self) -> Mapping[str, Pace]:
        # Once: every new job asks, and the answer is the same for as long as the fleet is.
        able = [worker for worker in self.workers if worker.engine_ready]
        known: dict[str, list[Pace]] = {worker.model: [] for worker in able}
        for worker in able:
            if worker.pace is not None:
                known[worker.model].append(worker.pace)
        return {model: mean_pace(paces) for model, paces in known.items() if paces}

    def shedding(self, model: str) -> Shedding | None:
        """How that worker sheds bands which does so least; None where one of them does not."""
        ways = [worker.shedding for worker in self._able(model)]
        allowed = [way for way in ways if way is not None]
        if not ways or len(allowed) < len(ways):
            return None
        return max(allowed, key=lambda way: way.min_bands)

    def _able(self, model: str) -> list[WorkerStatus]:
        return [each for each in self.workers if each.model == model and each.engine_ready]


class FleetCache:
    """Reads the fleet from the queue, at most once per `ttl_seconds`."""

    def __init__(self, queue: JobQueue, *, ttl_seconds: float, timeout_seconds: float) -> None:
        self._queue = queue
        self._ttl_seconds = ttl_seconds
        self._timeout_seconds = timeout_seconds
        self._lock = asyncio.Lock()
        self._fleet: Fleet | None = None
        self._expires = 0.0

    async def fleet(self) -> Fleet:
        """Raises QueueUnavailable rather than telling old news."""
        fleet = self._fresh()
        if fleet is None:
            async with self._lock:
                # Whoever held the lock may have read it.
                fleet = self._fresh() or await self._renewed()
        return fleet

    def _fresh(self) -> Fleet | None:
        return self._fleet if asyncio.get_running_loop().time() < self._expires else None

    async def _renewed(self) -> Fleet:
        asked = asyncio.get_running_loop().time()
        self._fleet = await answered_within(self._timeout_seconds, self._read())
        self._expires = asked + self._ttl_seconds
        return self._fleet

    async def _read(self) -> Fleet:
        cards = await self._queue.models()
        workers = await self._queue.workers()
        return Fleet(cards=sorted(cards, key=lambda card: card.id), workers=workers)


async def answered_within(seconds: float, call: Awaitable[T]) -> T:
    """What the queue answers. Raises QueueUnavailable once it has been silent for too long."""
    try:
        async with asyncio.timeout(seconds):
            return await call
    except TimeoutError:
        raise QueueUnavailable("the queue does not answer", retry_after_s=1.0) from None
