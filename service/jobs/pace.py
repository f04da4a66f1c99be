"""How fast drawing goes: what workers measure and tell, and what can be foretold from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MARGIN_SECONDS = 0.02
"""Of a deadline: for the way from the queue to the caller, and for what the clocks of two machines
cannot tell."""


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """How long one kind of step has taken lately, in seconds."""

    median: float
    p90: float


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What one worker has measured lately; None where there was too little to measure."""

    bands: tuple[StepTime | None, ...]
    """The wait for each band, the engine's other work included; may end before the last band."""
    picture: StepTime | None
    """From the last band to the image in the queue: decoded, encoded, published."""
    job: StepTime | None
    """From a job's lease to its end."""
    jobs_at_once: float
    """Jobs of the size that comes lately, for which the worker has room side by side."""

    def image_seconds(self, bands: Sequence[int]) -> float | None:
        """What is to be expected of drawing these bands and making them an image."""
        known = [self.bands[band] if band < len(self.bands) else None for band in bands]
        times = [step.median for step in (*known, self.picture) if step is not None]
        return sum(times) if len(times) == len(known) + 1 else None

    def least_seconds(self) -> float | None:
        """The shortest deadline that is likely to be kept once a job starts, by one band.

        As workers judge it: the band may well be late, the picture may not.
        """
        first = self.bands[0] if self.bands else None
        if first is None or self.picture is None:
            return None
        return first.median + self.picture.p90 + MARGIN_SECONDS


def mean_pace(paces: Sequence[Pace]) -> Pace:
    """One worker that stands for several: their room together, their times on average."""
    assert paces
    num_bands = max(len(pace.bands) for pace in paces)
    bands = [
        [pace.bands[band] for pace in paces if band < len(pace.bands)] for band in range(num_bands)
    ]
    return Pace(
        bands=tuple(map(_mean, bands)),
        picture=_mean([pace.picture for pace in paces]),
        job=_mean([pace.job for pace in paces]),
        jobs_at_once=sum(pace.jobs_at_once for pace in paces),
    )


def _mean(times: Sequence[StepTime | None]) -> StepTime | None:
    known = [time for time in times if time is not None]
    if not known:
        return None
    return StepTime(
        median=sum(time.median for time in known) / len(known),
        p90=sum(time.p90 for time in known) / len(known),
    )


def start_seconds(pace: Pace, *, ahead: int, running: int) -> float | None:
    """How long until a job starts that has `ahead` waiting jobs before it; an estimate.

    At once while there is room. Then rooms become free one by one, `jobs_at_once` of them in the
    time that a job takes, and each goes to the next who waits. None where that time is not known.
    """
    jobs_to_end = running + ahead + 1 - pace.jobs_at_once
    if jobs_to_end <= 0:
        return 0.0
    return None if pace.job is None else jobs_to_end * pace.job.median / pace.jobs_at_once
