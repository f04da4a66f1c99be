"""How long this worker's steps take, learned from the latest of them."""

from __future__ import annotations

import math
import time
from collections import defaultdict, deque
from collections.abc import Callable

from service.jobs.pace import Pace, StepTime

SAMPLES = 64
"""What has happened this often since is forgotten."""
MEMORY_SECONDS = 120.0
"""And so is what is older: an estimate that refuses everybody would never be tested again."""
FEWEST_SAMPLES = 3
"""So that one slow start is not taken for the rule."""

Clock = Callable[[], float]


class RecentTimes:
    """The latest durations of one kind of step."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)

    def add(self, value: float) -> None:
        self._samples.append((self._clock(), value))

    def add_at_least(self, value: float) -> None:
        """A step that was given up after so long: news only where it is slower than most.

        Without it, only the steps that were quick enough would ever be learned from.
        """
        if value >= (self.quantile(0.5) or 0.0):
            self.add(value)

    def quantile(self, share: float) -> float | None:
        """The smallest of the latest values that this share of them does not exceed; None if
        there are too few."""
        values = self._values()
        return values[math.ceil(share * len(values)) - 1] if values else None

    def mean(self) -> float | None:
        values = self._values()
        return sum(values) / len(values) if values else None

    def step_time(self) -> StepTime | None:
        median, p90 = self.quantile(0.5), self.quantile(0.9)
        return None if median is None or p90 is None else StepTime(median=median, p90=p90)

    def _values(self) -> list[float]:
        oldest = self._clock() - MEMORY_SECONDS
        values = sorted(value for at, value in self._samples if at > oldest)
        return values if len(values) >= FEWEST_SAMPLES else []


class LearnedPace:
    """One per worker; every job adds to it, and every deadline is judged by it."""

    def __init__(self, *, slots: int, clock: Clock = time.monotonic) -> None:
        """`slots` is how many images are drawn at once."""
        self._slots = slots
        self._bands: defaultdict[int, RecentTimes] = defaultdict(lambda: RecentTimes(clock))
        self._jobs = RecentTimes(clock)
        self._images_of_jobs = RecentTimes(clock)
        self.picture = RecentTimes(clock)

    def band(self, band: int) -> RecentTimes:
        """The waits for this band."""
        return self._bands[band]

    def add_job(self, seconds: float, *, num_images: int) -> None:
        self._jobs.add(seconds)
        self._images_of_jobs.add(num_images)

    def snapshot(self) -> Pace:
        """For others to read."""
        num_bands = max(self._bands, default=-1) + 1
        images = self._images_of_jobs.mean() or 1.0
        return Pace(
            bands=tuple(self._bands[band].step_time() for band in range(num_bands)),
            picture=self.picture.step_time(),
            job=self._jobs.step_time(),
            jobs_at_once=max(1.0, self._slots / images),
        )
