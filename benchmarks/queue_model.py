"""The service as a queueing model: what comes, what waits, who draws it and for how long.

One event after another in simulated time, so that a minute of load takes a moment. A job is one
image. It is refused if the queue is full, waits for a slot of a worker, then for a batch of the
worker's engine, and is drawn band by band with the others of its batch.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

Handler = Callable[[float], None]


@dataclass(frozen=True, kw_only=True)
class Model:
    """What is simulated."""

    workers: int
    slots: int
    """Jobs that a worker holds at once."""
    depth: int
    """Jobs waiting or running before requests are refused."""
    batches: int
    """Batches that the engine of a worker draws at once: 1 for Triton with one instance, as many as
    there are slots for an engine whose images do not wait for each other."""
    batch_sizes: tuple[int, ...]
    """Those to which a batch is padded; it holds no more than the largest."""
    band_seconds: Callable[[int, int], float]
    """What a band takes, by its number and the padded size of its batch."""
    bands: int
    gather_seconds: float = 0.0
    """For how long an idle engine waits for others to join a batch."""
    path_seconds: float = 0.0
    """Of each image beside its slot: the way in and out."""


@dataclass(kw_only=True)
class Fate:
    """What became of one request."""

    arrived: float
    refused: bool = False
    first_band: float = 0.0
    """Seconds from its arrival to its first band; 0 if there was none."""
    seconds: float = 0.0
    """Seconds from its arrival to its answer; 0 for the refused."""


@dataclass(kw_only=True)
class _Worker:
    held: int = 0
    drawing: int = 0
    ready: deque[Fate] = field(default_factory=deque)
    """Jobs with a slot that wait for a batch."""


class Simulation:
    """One run."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._waiting: deque[Fate] = deque()
        self._outstanding = 0
        self._asking = deque(_Worker() for _ in range(model.workers))
        """Workers with room, in the order in which Redis serves them."""
        self._events: list[tuple[float, int, Handler]] = []
        self._order = itertools.count()

    def run(self, arrivals: Iterable[float]) -> list[Fate]:
        """The fates of jobs that come at these times, which rise; all that are let in end."""
        coming = iter(arrivals)
        fates: list[Fate] = []

        def arrive(now: float) -> None:
            fates.append(Fate(arrived=now))
            self._let_in(fates[-1])
            self._lease(now)
            expect_next()

        def expect_next() -> None:
            due = next(coming, None)
            if due is not None:
                self._at(due, arrive)

        expect_next()
        while self._events:
            now, _, handle = heapq.heappop(self._events)
            handle(now)
        return fates

    def _at(self, time: float, handle: Handler) -> None:
        heapq.heappush(self._events, (time, next(self._order), handle))

    def _let_in(self, job: Fate) -> None:
        if self._outstanding >= self._model.depth:
            job.refused = True
        else:
            self._outstanding += 1
            self._waiting.append(job)

    def _lease(self, now: float) -> None:
        while self._waiting and self._asking:
            worker = self._asking.popleft()
            worker.held += 1
            if worker.held < self._model.slots:
                self._asking.append(worker)
            worker.ready.append(self._waiting.popleft())
            self._at(now + self._model.gather_seconds, partial(self._draw, worker))

    def _draw(self, worker: _Worker, now: float) -> None:
        while worker.ready and worker.drawing < self._model.batches:
            count = min(len(worker.ready), max(self._model.batch_sizes))
            batch = [worker.ready.popleft() for _ in range(count)]
            worker.drawing += 1
            self._after_band(worker, batch, 0, now)

    def _after_band(self, worker: _Worker, batch: list[Fate], band: int, now: float) -> None:
        padded = min(size for size in self._model.batch_sizes if size >= len(batch))
        seconds = self._model.band_seconds(band, padded)

        def drawn(at: float) -> None:
            if band == 0:
                for job in batch:
                    job.first_band = at - job.arrived
            if band + 1 < self._model.bands:
                self._after_band(worker, batch, band + 1, at)
            else:
                self._finish(worker, batch, at)

        self._at(now + seconds, drawn)

    def _finish(self, worker: _Worker, batch: list[Fate], now: float) -> None:
        for job in batch:
            job.seconds = now - job.arrived + self._model.path_seconds
        if worker.held == self._model.slots:
            self._asking.append(worker)
        worker.held -= len(batch)
        self._outstanding -= len(batch)
        worker.drawing -= 1
        self._lease(now)
        self._draw(worker, now)


def steadily(rate: float, seconds: float) -> Iterator[float]:
    """One after another at the same distance, as the benchmarks' crowd comes."""
    return (number / rate for number in range(round(rate * seconds)))


def at_random(rate: float, seconds: float, *, seed: int) -> Iterator[float]:
    """Independently of each other, as the users of a service come (a Poisson process)."""
    # Repeatable, and no secret.
    generator = random.Random(seed)  # noqa: S311
    now = generator.expovariate(rate)
    while now < seconds:
        yield now
        now += generator.expovariate(rate)
