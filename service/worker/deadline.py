"""Whether there is time for one more step before a job's images have to be there."""

from __future__ import annotations

import math
from collections.abc import Callable

from service.jobs.pace import MARGIN_SECONDS
from service.jobs.queue import Lease
from service.worker.learned_pace import LearnedPace


class Deadline:
    """Of one leased job, on the clock of the event loop.

    The job's age comes from the queue's clock alone, and the rest is measured from the moment that
    the lease arrived: how the clocks of gateway, queue and worker are set does not matter.
    """

    def __init__(self, lease: Lease, pace: LearnedPace, *, clock: Callable[[], float]) -> None:
        """To be made as soon as the lease is there."""
        self._pace = pace
        self._clock = clock
        self._at = math.inf
        self.age_at_lease = max(0.0, lease.leased_at - lease.job.created_at)
        """Seconds from the job's acceptance to this lease."""
        self._leased_at = clock()
        limit_ms = lease.job.request.deadline_ms
        if limit_ms is not None:
            age = lease.leased_at - lease.job.created_at
            self._at = self._leased_at + limit_ms / 1000 - age - MARGIN_SECONDS

    @property
    def age(self) -> float:
        """Seconds since the job's acceptance."""
        return self.age_at_lease + self._clock() - self._leased_at

    @property
    def last_call(self) -> float | None:
        """When the last canvas has to be there, so that it is an image in time; None: whenever.

        By a high quantile: an image that is late is worse than one band less.
        """
        if self._at == math.inf:
            return None
        return self._at - (self._pace.picture.quantile(0.9) or 0.0)

    def allows_band(self, band: int) -> bool:
        """Whether this band is likely to come in time; what has not been measured is tried.

        By the median: a band that comes too late after all costs work, but no image.
        """
        last_call = self.last_call
        if last_call is None:
            return True
        return self._clock() + (self._pace.band(band).quantile(0.5) or 0.0) <= last_call

    def allows_preview(self) -> bool:
        """Whether there is time to make a preview, which takes about as long as an image."""
        last_call = self.last_call
        if last_call is None:
            return True
        return self._clock() + (self._pace.picture.quantile(0.9) or 0.0) <= last_call
