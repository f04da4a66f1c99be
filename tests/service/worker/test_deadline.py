"""Laws of judging what fits before a deadline; the clocks are the test's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.domain import Job, JobState
from service.jobs.pace import MARGIN_SECONDS
from service.jobs.queue import Lease
from service.worker.deadline import Deadline
from service.worker.learned_pace import FEWEST_SAMPLES, LearnedPace
from tests.requests import request_of

LOOP_NOW = 50.0
"""Far from any queue's clock."""


def lease_of(deadline_ms: int | None, *, age: float = 0.0, created_at: float = 1e9) -> Lease:
    request = request_of(deadline_ms=deadline_ms)
    job = Job(id="j", request=request, state=JobState.RUNNING, created_at=created_at)
    return Lease(job=job, worker_id="w", epoch=1, leased_at=created_at + age)


def pace_of(*, band: float | None = None, picture: float | None = None) -> LearnedPace:
    pace = LearnedPace(slots=1)
    for _ in range(FEWEST_SAMPLES):
        if band is not None:
            pace.band(0).add(band)
        if picture is not None:
            pace.picture.add(picture)
    return pace


def deadline_of(lease: Lease, pace: LearnedPace) -> Deadline:
    return Deadline(lease, pace, clock=lambda: LOOP_NOW)


def test_without_a_deadline_there_is_time_for_everything() -> None:
    deadline = deadline_of(lease_of(None, age=1e6), pace_of(band=1e6, picture=1e6))
    assert deadline.last_call is None
    assert deadline.allows_band(0)
    assert deadline.allows_preview()


@given(st.floats(min_value=0, max_value=100), st.sampled_from([0.0, 1e9, 4e9]))
def test_only_the_queues_clock_says_how_old_a_job_is(age: float, created_at: float) -> None:
    lease = lease_of(200_000, age=age, created_at=created_at)
    last_call = deadline_of(lease, pace_of()).last_call
    assert last_call is not None
    assert abs(last_call - (LOOP_NOW + 200 - age - MARGIN_SECONDS)) < 1e-3


def test_a_band_fits_if_its_picture_does_too() -> None:
    for seconds, fits in ((4.0, True), (6.0, False)):
        deadline = deadline_of(lease_of(10_000), pace_of(band=seconds, picture=5.0))
        assert deadline.allows_band(0) is fits


@given(
    st.floats(min_value=0, max_value=100),
    st.floats(min_value=0, max_value=100),
    st.integers(min_value=1, max_value=200_000),
)
def test_worker_and_door_agree_on_what_the_least_deadline_is(
    band: float, picture: float, deadline_ms: int
) -> None:
    pace = pace_of(band=band, picture=picture)
    least = pace.snapshot().least_seconds()
    assert least is not None
    if abs(least - deadline_ms / 1000) > 1e-6:
        fits = least < deadline_ms / 1000
        assert deadline_of(lease_of(deadline_ms), pace).allows_band(0) is fits


def test_a_band_that_was_never_measured_is_tried_while_there_is_time() -> None:
    pace = pace_of(band=1e6)
    assert deadline_of(lease_of(10_000), pace).allows_band(1)
    assert not deadline_of(lease_of(10_000, age=10.0), pace).allows_band(1)


def test_a_preview_must_leave_time_for_the_image() -> None:
    for seconds, fits in ((4.0, True), (6.0, False)):
        assert deadline_of(lease_of(10_000), pace_of(picture=seconds)).allows_preview() is fits
