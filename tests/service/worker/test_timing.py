"""Where the time of an image goes: every second once, however late a band is told."""

from __future__ import annotations

import time
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain import TIMINGS
from service.engine.engine import DrawnBand
from service.metrics import Metrics
from service.worker.timing import ImageTiming

SECONDS = st.floats(0.0, 3.0)


def drawn_band(band: int, seconds: float) -> DrawnBand:
    return DrawnBand(
        band=band,
        tokens=np.zeros(1, np.int32),
        canvas=np.zeros((1, 1, 1), np.float32),
        seconds=seconds,
        batch_size=1,
        baseline_seconds={},
    )


def timed(wait: float, bands: list[tuple[float, float]], metrics: Metrics) -> dict[str, float]:
    """Of bands with their seconds, each told so much later than it was drawn, and in order."""
    now = 1000.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now)
        timing = ImageTiming(metrics, model="m", queue_seconds=0.5)
        drawn_at = accumulate((seconds for seconds, _ in bands), initial=1000.0 + wait)
        next(drawn_at)
        for band, (at, (seconds, late)) in enumerate(zip(drawn_at, bands, strict=True)):
            now = max(now, at + late)
            timing.add_band(drawn_band(band, seconds))
        return timing.parts(total_seconds=0.5 + now - 1000.0)


@given(SECONDS, st.lists(st.tuples(SECONDS, SECONDS), min_size=1, max_size=5))
def test_no_second_is_counted_twice(wait: float, bands: list[tuple[float, float]]) -> None:
    parts = timed(wait, bands, Metrics())
    assert tuple(parts) == TIMINGS
    assert parts["bands"] == pytest.approx(sum(seconds for seconds, _ in bands), abs=1e-5)
    assert parts["batch_wait"] >= wait - 1e-5
    assert sum(parts.values()) - parts["total"] <= parts["total"] + 1e-5


def test_one_punctual_band_tells_the_wait() -> None:
    metrics = Metrics()
    parts = timed(0.25, [(0.5, 2.0), (1.0, 1.0), (1.0, 0.0)], metrics)
    assert parts["batch_wait"] == 0.25
    told = metrics.registry.get_sample_value("nfig_batch_wait_seconds_sum", {"model": "m"})
    assert told == 0.25


def test_a_try_without_a_band_has_waited_for_none() -> None:
    parts = ImageTiming(Metrics(), model="m", queue_seconds=0.5).parts(total_seconds=2.0)
    assert parts == dict(zip(TIMINGS, (0.5, 0.0, 0.0, 0.0, 0.0, 2.0), strict=True))
