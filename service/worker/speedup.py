"""How many times as long a baseline would have taken for a band that was drawn."""

from __future__ import annotations

from service.engine.engine import DrawnBand

DIGITS = 3


def speedup(drawn: DrawnBand) -> dict[str, float] | None:
    """By the name of each baseline; None where the engine has measured none on its host."""
    if drawn.seconds <= 0:
        return None
    ratios = {
        name: round(seconds / drawn.seconds, DIGITS)
        for name, seconds in drawn.baseline_seconds.items()
    }
    return ratios or None
