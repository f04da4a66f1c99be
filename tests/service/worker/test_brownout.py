"""Laws of shedding bands by how long jobs wait; the clock is the test's."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain import Job, JobState, Priority
from service.jobs.queue import Lease
from service.settings import WorkerSettings
from service.worker.brownout import FALL_TARGETS, RISE_TARGETS, STEP, Brownout
from tests.requests import request_of

TARGET = 0.5
RISE = RISE_TARGETS * TARGET
FALL = FALL_TARGETS * TARGET
NUM_BANDS, MIN_BANDS = 5, 2
HIGH, MIDDLE, LOW = 2 * TARGET, 0.5 * TARGET, 0.0

GAPS = st.floats(min_value=0.01, max_value=FALL)
WAITS = st.floats(min_value=0.0, max_value=4 * TARGET)
TRACES = st.lists(st.tuples(GAPS, WAITS), max_size=80)


@dataclass
class Watched:
    """A brownout with every level that it has had, and when."""

    now: float = 1000.0
    changes: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.brownout = Brownout(
            num_bands=NUM_BANDS,
            min_bands=MIN_BANDS,
            target_seconds=TARGET,
            clock=lambda: self.now,
        )

    def step(self, gap: float, wait: float) -> float:
        self.now += gap
        before = self.brownout.level
        self.brownout.observe(wait)
        if self.brownout.level != before:
            self.changes.append((self.now, self.brownout.level - before))
        return self.brownout.level

    def hold(self, wait: float, seconds: float, *, gap: float = 0.002) -> float:
        for _ in range(round(seconds / gap)):
            self.step(gap, wait)
        return self.brownout.level


def lease_of(wait: float, *, attempts: int = 1, priority: Priority = "normal") -> Lease:
    request = request_of(priority=priority)
    job = Job(id="j", request=request, state=JobState.RUNNING, created_at=1e9, attempts=attempts)
    return Lease(job=job, worker_id="w", epoch=1, leased_at=1e9 + wait)


def test_the_level_rises_step_by_step_while_waits_stay_above_the_target() -> None:
    watched = Watched()
    assert watched.hold(HIGH, 0.9 * RISE) == 0
    assert watched.hold(HIGH, 0.2 * RISE) == STEP
    assert watched.hold(HIGH, 1.1 * RISE) == 2 * STEP


def test_a_burst_that_the_queue_takes_in_sheds_nothing() -> None:
    watched = Watched()
    for _ in range(20):
        watched.hold(HIGH, 0.8 * RISE)
        assert watched.step(0.002, MIDDLE) == 0


def test_between_the_thresholds_nothing_changes() -> None:
    watched = Watched()
    watched.hold(HIGH, 2.5 * RISE)
    level = watched.brownout.level
    assert level > 0
    assert watched.hold(MIDDLE, 3 * FALL) == level


def test_the_level_falls_only_after_a_long_calm() -> None:
    watched = Watched()
    watched.hold(HIGH, 1.5 * RISE)
    assert watched.hold(LOW, 0.9 * FALL) == STEP
    watched.step(0.05, MIDDLE)
    assert watched.hold(LOW, 0.9 * FALL) == STEP
    assert watched.hold(LOW, 0.2 * FALL) == 0


@pytest.mark.parametrize("level", [0.0, 0.25, 0.5, 1.0, 1.75, 3.0])
def test_jobs_in_turn_make_up_the_level(level: float) -> None:
    brownout = Watched().brownout
    brownout.level = level
    left_out = [NUM_BANDS - (brownout.next_max_bands() or NUM_BANDS) for _ in range(40)]
    assert sum(left_out) == 40 * level
    assert set(left_out) <= {math.floor(level), math.ceil(level)}
    assert brownout.status().fewest_now == NUM_BANDS - math.ceil(level)


@given(TRACES)
def test_the_bounds_hold(trace: list[tuple[float, float]]) -> None:
    watched = Watched()
    for gap, wait in trace:
        assert 0 <= watched.step(gap, wait) <= NUM_BANDS - MIN_BANDS
        assert (watched.brownout.next_max_bands() or NUM_BANDS) >= MIN_BANDS
        assert watched.brownout.status().fewest_now >= MIN_BANDS


@given(st.lists(st.tuples(GAPS, WAITS, WAITS), max_size=80))
def test_longer_waits_never_leave_out_fewer_bands(trace: list[tuple[float, float, float]]) -> None:
    calmer, busier = Watched(), Watched()
    for gap, one, other in trace:
        assert calmer.step(gap, min(one, other)) <= busier.step(gap, max(one, other))


@given(TRACES)
def test_it_never_flaps(trace: list[tuple[float, float]]) -> None:
    watched = Watched()
    for gap, wait in trace:
        watched.step(gap, wait)
    for (earlier, _), (later, change) in zip(watched.changes, watched.changes[1:], strict=False):
        assert abs(change) == STEP
        least = RISE if change > 0 else FALL
        assert later - earlier >= least - 1e-9


@given(TRACES)
def test_it_recovers_from_everything(trace: list[tuple[float, float]]) -> None:
    watched = Watched()
    for gap, wait in trace:
        watched.step(gap, wait)
    assert watched.hold(LOW, (NUM_BANDS - MIN_BANDS) / STEP * FALL * 1.1, gap=0.1) == 0


@given(TRACES)
def test_workers_that_see_the_same_waits_agree_without_a_word(
    trace: list[tuple[float, float]],
) -> None:
    one, other = Watched(), Watched(now=5.0)
    assert [one.step(*step) for step in trace] == [other.step(*step) for step in trace]


def test_the_age_of_leased_jobs_is_what_counts_and_an_empty_queue_is_no_wait() -> None:
    watched = Watched()
    for _ in range(3):
        watched.now += RISE
        watched.brownout.observe_leases([lease_of(HIGH)])
    assert watched.brownout.level == 2 * STEP
    for _ in range(4):
        watched.now += FALL
        watched.brownout.observe_leases([])
    assert watched.brownout.level == 0


def test_who_goes_first_does_not_hide_that_others_wait() -> None:
    watched = Watched()
    for _ in range(40):
        watched.now += RISE / 4
        watched.brownout.observe_leases([lease_of(HIGH, priority="low")])
        watched.now += RISE / 4
        watched.brownout.observe_leases([lease_of(LOW, priority="high")])
    assert watched.brownout.level == NUM_BANDS - MIN_BANDS


def test_a_job_that_was_taken_over_says_nothing_of_the_queue() -> None:
    watched = Watched()
    for _ in range(5):
        watched.now += RISE
        watched.brownout.observe_leases([lease_of(HIGH, attempts=2)])
    assert watched.brownout.level == 0


@pytest.mark.parametrize("min_bands", [NUM_BANDS, NUM_BANDS + 3])
def test_a_floor_that_the_model_does_not_reach_sheds_nothing(min_bands: int) -> None:
    clock = iter(float(second) for second in range(1000))
    brownout = Brownout(
        num_bands=NUM_BANDS, min_bands=min_bands, target_seconds=TARGET, clock=lambda: next(clock)
    )
    for _ in range(10):
        brownout.observe(HIGH)
    assert brownout.next_max_bands() is None
    assert brownout.status().min_bands == NUM_BANDS


def test_it_is_off_unless_the_operator_names_a_floor() -> None:
    assert Brownout.from_settings(WorkerSettings(), num_bands=NUM_BANDS) is None
    settings = WorkerSettings(brownout_min_bands=2, brownout_target_seconds=3.0)
    brownout = Brownout.from_settings(settings, num_bands=NUM_BANDS)
    assert brownout is not None
    status = brownout.status()
    assert (status.min_bands, status.target_seconds, status.fewest_now) == (2, 3.0, NUM_BANDS)
