"""How many requests a tenant may make: a bucket that holds a minute's worth and refills evenly.

A bucket is one number, the time at which it will be full again, in microseconds. Redis computes
with it in `lua/count_request.lua`; this is the same arithmetic for the twin in memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MINUTE_US = 60_000_000


@dataclass(frozen=True, kw_only=True)
class RequestBudget:
    """What a tenant has left after a request, or at the moment of its refusal."""

    allowed: bool
    limit: int
    """Requests per minute."""
    remaining: int
    """Requests that would be allowed right now."""
    reset_seconds: float
    """Until all of `limit` are there again, if no more are made."""
    retry_seconds: float
    """Until one is there again; 0 for a request that was allowed."""


def interval_us(per_minute: int) -> int:
    """The time that one request takes to come back."""
    return math.ceil(MINUTE_US / per_minute)


def take(full_at: int, now: int, *, per_minute: int) -> int | None:
    """When the bucket will be full again after one more request; None if that must wait."""
    after = max(full_at, now) + interval_us(per_minute)
    return after if after - now <= per_minute * interval_us(per_minute) else None


def budget(full_at: int, now: int, *, per_minute: int, allowed: bool) -> RequestBudget:
    """What a bucket means to its tenant."""
    interval = interval_us(per_minute)
    missing = max(0, full_at - now)
    return RequestBudget(
        allowed=allowed,
        limit=per_minute,
        remaining=(per_minute * interval - missing) // interval,
        reset_seconds=missing / 1e6,
        retry_seconds=0.0 if allowed else (missing - (per_minute - 1) * interval) / 1e6,
    )
