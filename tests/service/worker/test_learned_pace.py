"""Laws of what a worker learns of its own pace; the clock is the test's."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.jobs.pace import StepTime
from service.worker.learned_pace import (
    FEWEST_SAMPLES,
    MEMORY_SECONDS,
    SAMPLES,
    LearnedPace,
    RecentTimes,
)

VALUES = st.lists(st.floats(min_value=0, max_value=1e3), min_size=FEWEST_SAMPLES, max_size=SAMPLES)
SHARE = st.floats(min_value=0.01, max_value=1)


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def times(values: list[float], clock: Clock | None = None) -> RecentTimes:
    recent = RecentTimes(clock or Clock())
    for value in values:
        recent.add(value)
    return recent


@given(VALUES, SHARE)
def test_a_quantile_is_the_least_value_that_enough_others_do_not_exceed(
    values: list[float], share: float
) -> None:
    quantile = times(values).quantile(share)
    assert quantile in values
    assert sum(value <= quantile for value in values) >= share * len(values)
    assert sum(value < quantile for value in values) < share * len(values)


@given(VALUES, SHARE, SHARE)
def test_quantiles_rise_with_their_share(values: list[float], one: float, other: float) -> None:
    recent = times(values)
    low, high = recent.quantile(min(one, other)), recent.quantile(max(one, other))
    assert low is not None
    assert high is not None
    assert low <= high


def test_too_few_are_no_rule() -> None:
    recent = times([9.0] * (FEWEST_SAMPLES - 1))
    assert (recent.quantile(0.5), recent.mean(), recent.step_time()) == (None, None, None)
    recent.add(9.0)
    assert recent.step_time() == StepTime(median=9.0, p90=9.0)


def test_one_slow_start_does_not_move_the_median() -> None:
    assert times([60.0, 0.1, 0.1, 0.1]).step_time() == StepTime(median=0.1, p90=60.0)


@given(VALUES, st.floats(min_value=0, max_value=1e3))
def test_a_step_that_was_given_up_never_makes_the_pace_look_quicker(
    values: list[float], given_up_after: float
) -> None:
    recent = times(values)
    before = recent.quantile(0.5)
    recent.add_at_least(given_up_after)
    after = recent.quantile(0.5)
    assert before is not None
    assert after is not None
    assert after >= before or len(values) == SAMPLES


def test_steps_that_are_always_given_up_are_learned_to_be_slow() -> None:
    recent = times([0.1] * 5)
    for _ in range(7):
        recent.add_at_least(2.0)
    assert recent.quantile(0.5) == 2.0


def test_a_change_of_pace_is_learned_by_as_many_samples_as_are_kept() -> None:
    recent = times([1.0] * 1000 + [5.0] * SAMPLES)
    assert recent.step_time() == StepTime(median=5.0, p90=5.0)


def test_what_is_old_is_forgotten_so_that_it_refuses_nobody_for_ever() -> None:
    clock = Clock()
    recent = times([100.0] * 10, clock)
    clock.now += MEMORY_SECONDS - 1
    assert recent.quantile(0.5) == 100.0
    clock.now += 1
    assert recent.quantile(0.5) is None


def test_a_snapshot_has_a_place_for_every_band_up_to_the_last_one_met() -> None:
    pace = LearnedPace(slots=4)
    assert pace.snapshot().bands == ()
    for _ in range(FEWEST_SAMPLES):
        pace.band(2).add(0.5)
    assert pace.snapshot().bands == (None, None, StepTime(median=0.5, p90=0.5))
    assert (pace.snapshot().picture, pace.snapshot().job) == (None, None)


@pytest.mark.parametrize(("images", "rooms"), [(1, 8.0), (2, 4.0), (8, 1.0), (100, 1.0)], ids=str)
def test_the_room_is_counted_in_jobs_of_the_size_that_comes(images: int, rooms: float) -> None:
    pace = LearnedPace(slots=8)
    assert pace.snapshot().jobs_at_once == 8.0
    for _ in range(FEWEST_SAMPLES):
        pace.add_job(3.0, num_images=images)
    snapshot = pace.snapshot()
    assert (snapshot.jobs_at_once, snapshot.job) == (rooms, StepTime(median=3.0, p90=3.0))
