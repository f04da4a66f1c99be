"""How many bands a worker leaves out when demand exceeds capacity: a level that rises while jobs
wait for too long, and falls once they have not for a while.

The level is a number of bands on average: at 1.25, of four jobs three are drawn without their last
band and one without its last two. A whole band is so large a part of the work that a level of whole
bands would leave out far more than demand asks for.

It needs no other worker: all of them lease from one queue, whose oldest jobs they get, so they see
the same waits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from service.domain import Priority
from service.jobs.queue import Lease, Shedding
from service.settings import WorkerSettings

LOW_SHARE = 0.25
"""Of the target: a wait below it is none. Between the two nothing changes."""
STEP = 0.25
"""By how many bands the level changes at once."""
RISE_TARGETS = 0.25
"""For how long waits have to stay above the target before the level rises, in targets: a burst that
the queue takes in without help is not yet demand that exceeds capacity."""
FALL_TARGETS = 5.0
"""For how long there has to be none before the level falls. Long, because that is an experiment:
where demand goes on, it costs a queue."""


class Brownout:
    """A level on the waits that `observe` is told, on the worker's own clock."""

    def __init__(
        self,
        *,
        num_bands: int,
        min_bands: int,
        target_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._num_bands = num_bands
        self._min_bands = min(min_bands, num_bands)
        self._target = target_seconds
        self._clock = clock
        self._high_since: dict[Priority, float] = {}
        """Of each priority: the jobs of a higher one hardly wait while those of the others do."""
        self._low_since: float | None = None
        self._owed = 0.0
        """What is left over of the level once whole bands have been left out."""
        self.level = 0.0
        """Bands that are left out, on average."""

    @classmethod
    def from_settings(cls, settings: WorkerSettings, *, num_bands: int) -> Brownout | None:
        """None where the operator does not allow it."""
        if settings.brownout_min_bands is None:
            return None
        return cls(
            num_bands=num_bands,
            min_bands=settings.brownout_min_bands,
            target_seconds=settings.brownout_target_seconds,
        )

    def next_max_bands(self) -> int | None:
        """What the next job may have at most; None: everything."""
        self._owed += self.level
        left_out = int(self._owed)
        self._owed -= left_out
        return None if left_out == 0 else self._num_bands - left_out

    def status(self) -> Shedding:
        """For others to read."""
        fewest = self._num_bands - math.ceil(self.level)
        return Shedding(min_bands=self._min_bands, target_seconds=self._target, fewest_now=fewest)

    def observe_leases(self, leases: Sequence[Lease]) -> None:
        """What a call for jobs brought; nothing means that nobody waits."""
        if not leases:
            self._high_since.clear()
            self.observe(0.0)
        for lease in leases:
            # Afterwards it is the workers' failures that make a job old, not the queue.
            if lease.job.attempts == 1:
                wait = lease.leased_at - lease.job.created_at
                self.observe(wait, priority=lease.job.request.priority)

    def observe(self, wait_seconds: float, *, priority: Priority = "normal") -> None:
        now = self._clock()
        if wait_seconds > self._target:
            self._high_since.setdefault(priority, now)
        else:
            self._high_since.pop(priority, None)
        low = wait_seconds < LOW_SHARE * self._target
        self._low_since = _since(self._low_since, now) if low else None
        if self._lasts(self._high_since.get(priority), RISE_TARGETS, now):
            self._high_since[priority] = now
            self.level = min(self.level + STEP, self._num_bands - self._min_bands)
        elif self._lasts(self._low_since, FALL_TARGETS, now):
            self._low_since = now
            self.level = max(self.level - STEP, 0.0)

    def _lasts(self, since: float | None, targets: float, now: float) -> bool:
        return since is not None and now - since >= targets * self._target


def _since(since: float | None, now: float) -> float:
    return now if since is None else since
