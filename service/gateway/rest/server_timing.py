"""`Server-Timing`: where the time of an answer's images went, as browsers show it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def timing_headers(timings: Iterable[Mapping[str, float] | None]) -> dict[str, str]:
    """Of the image that took longest; no header where nothing is known."""
    known = [timing for timing in timings if timing is not None]
    if not known:
        return {}
    slowest = max(known, key=lambda timing: timing.get("total", 0.0))
    return {"server-timing": ", ".join(f"{n};dur={s * 1000:.3f}" for n, s in slowest.items())}
