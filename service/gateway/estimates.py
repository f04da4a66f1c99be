"""What can be foretold of a job: whether it fits into its time, when it starts, when it ends.

Estimates, from what workers have measured of late. Nothing measured, nothing foretold: None, and
nobody is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.domain import GenerationRequest
from service.errors import DeadlineTooShort, DeadlineUnattainable
from service.gateway.drafts import Draft
from service.jobs.pace import Pace, start_seconds
from service.jobs.queue import Backlog, Shedding


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Seconds from now; None where it is not known, or lies behind."""

    start_seconds: float | None = None
    end_seconds: float | None = None


UNKNOWN = Estimate()


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What a request's time at the door is judged by."""

    pace: Pace
    backlog: Backlog
    shedding: Shedding | None
    """Of the worker that sheds least; None where one of them does not."""

    def start_seconds(self, request: GenerationRequest, *, latest: float) -> float:
        """Until the request would start, 0 where that is not known.

        A request that accepts fewer bands is judged as if the jobs ahead of it had the fewest
        already, unless it cannot wait until the workers begin to shed.
        """
        backlog = self.backlog
        start = start_seconds(self.pace, ahead=backlog.waiting, running=backlog.running) or 0.0
        if self.shedding is None or request.brownout == "never":
            return start
        if latest <= self.shedding.target_seconds:
            return start
        return start * _shed_share(self.pace, self.shedding)


def _shed_share(pace: Pace, shedding: Shedding) -> float:
    """How much of the time that an image takes now it takes with the fewest bands."""
    now = pace.image_seconds(range(min(shedding.fewest_now, len(pace.bands))))
    least = pace.image_seconds(range(shedding.min_bands))
    return min(1.0, least / now) if now and least else 1.0


def check_time(draft: Draft, request: GenerationRequest, outlook: Outlook) -> None:
    """Raises DeadlineTooShort or DeadlineUnattainable, by the caller's name for the field.

    A request passes if its first band is likely to become an image in time.
    """
    first = outlook.pace.least_seconds() or 0.0
    deadline = request.deadline_ms
    name = draft.name("deadline_ms")
    if deadline is not None and first * 1000 > deadline:
        text = f"{name} is too short: an image of one band takes about {first * 1000:.0f} ms"
        raise DeadlineTooShort(text, field=name)
    if deadline is not None:
        _check_start(name, request, outlook, latest=deadline / 1000 - first)
    if request.start_within_ms is not None:
        name = draft.name("start_within_ms")
        _check_start(name, request, outlook, latest=request.start_within_ms / 1000)


def _check_start(name: str, request: GenerationRequest, outlook: Outlook, *, latest: float) -> None:
    start = outlook.start_seconds(request, latest=latest)
    if start > latest:
        text = f"{name} cannot be kept: the job would start in about {start:.1f} seconds"
        raise DeadlineUnattainable(text, field=name, retry_after_s=start - latest)


def estimate_waiting(
    request: GenerationRequest, *, pace: Pace, position: int, running: int
) -> Estimate:
    """Of a job that waits behind `position` others."""
    start = start_seconds(pace, ahead=position, running=running)
    drawing = pace.image_seconds(range(request.bands))
    end = None if start is None or drawing is None else start + drawing
    return Estimate(start_seconds=start, end_seconds=end)


def estimate_running(
    request: GenerationRequest, *, pace: Pace, bands_completed: Sequence[int]
) -> Estimate:
    """Of a job whose images have come so far; the slowest of them decides."""
    slowest = min(bands_completed)
    return Estimate(end_seconds=pace.image_seconds(range(slowest, request.bands)))
