"""Laws of what is foretold from measured times."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from service.jobs.pace import MARGIN_SECONDS, Pace, StepTime, mean_pace, start_seconds

SECONDS = st.floats(min_value=0.001, max_value=100)
COUNT = st.integers(min_value=0, max_value=200)


def step(median: float, p90: float | None = None) -> StepTime:
    return StepTime(median=median, p90=median if p90 is None else p90)


PACE = Pace(
    bands=(step(1.0), step(2.0), None, step(4.0)),
    picture=step(0.5),
    job=step(10.0),
    jobs_at_once=4.0,
)


def test_an_image_takes_its_bands_and_its_picture() -> None:
    assert PACE.image_seconds(range(2)) == 3.5
    assert PACE.image_seconds(range(1, 2)) == 2.5
    assert PACE.image_seconds(()) == 0.5


def test_the_least_deadline_allows_for_a_slow_picture_and_for_the_way() -> None:
    pace = replace(PACE, picture=step(0.5, 3.0))
    assert pace.least_seconds() == 1.0 + 3.0 + MARGIN_SECONDS
    assert replace(PACE, picture=None).least_seconds() is None
    assert replace(PACE, bands=()).least_seconds() is None


def test_what_was_not_measured_is_not_foretold() -> None:
    assert PACE.image_seconds(range(3)) is None
    assert PACE.image_seconds(range(4, 5)) is None
    assert replace(PACE, picture=None).image_seconds(range(1)) is None
    full = {"ahead": 0, "running": 4}
    assert start_seconds(replace(PACE, job=None), **full) is None


@given(COUNT, COUNT)
def test_who_finds_room_starts_at_once_whatever_was_measured(ahead: int, running: int) -> None:
    roomy = replace(PACE, jobs_at_once=ahead + running + 1.0)
    assert start_seconds(roomy, ahead=ahead, running=running) == 0
    assert start_seconds(replace(roomy, job=None), ahead=ahead, running=running) == 0


@given(COUNT, COUNT, SECONDS)
def test_the_wait_grows_with_the_queue_and_with_the_jobs(
    ahead: int, running: int, job: float
) -> None:
    def wait(ahead: int, job: float) -> float:
        seconds = start_seconds(replace(PACE, job=step(job)), ahead=ahead, running=running)
        assert seconds is not None
        return seconds

    assert wait(ahead, job) <= wait(ahead + 1, job)
    assert wait(ahead, job) <= wait(ahead, 2 * job)


def test_a_round_of_full_rooms_takes_the_time_of_a_job() -> None:
    waits = [start_seconds(PACE, ahead=ahead, running=4) for ahead in range(8)]
    assert waits == [2.5, 5.0, 7.5, 10.0, 12.5, 15.0, 17.5, 20.0]


def test_workers_together_have_all_the_room_and_the_average_time() -> None:
    other = Pace(bands=(step(3.0, 9.0),), picture=None, job=None, jobs_at_once=2.0)
    both = mean_pace([PACE, other])
    assert both.bands == (step(2.0, 5.0), step(2.0), None, step(4.0))
    assert (both.picture, both.job, both.jobs_at_once) == (PACE.picture, PACE.job, 6.0)
    assert mean_pace([PACE]) == PACE
