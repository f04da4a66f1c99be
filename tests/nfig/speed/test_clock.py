"""Laws of the rule by which disturbed repetitions are left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nfig.speed.clock import ENOUGH, DisturbedError, Times, measure_in_turn, typical, undisturbed

totals = st.lists(st.floats(min_value=1e-3, max_value=1e3), min_size=1, max_size=20)


def repetition(total: float) -> Times:
    return Times(parts=(total / 4, total * 3 / 4), total=total)


@given(totals)
def test_the_fastest_counts_and_nobody_much_slower(seconds: list[float]) -> None:
    counted = [times.total for times in undisturbed([repetition(each) for each in seconds])]
    assert min(seconds) in counted
    assert max(counted) <= 1.1 * min(seconds)


@given(totals, st.floats(min_value=1.11, max_value=100))
def test_a_disturbed_repetition_changes_nothing(seconds: list[float], slower: float) -> None:
    repetitions = [repetition(each) for each in seconds]
    disturbed = repetition(min(seconds) * slower)
    assert undisturbed([*repetitions, disturbed]) == undisturbed(repetitions)


@given(st.floats(min_value=1e-3, max_value=1e3), st.lists(st.floats(1.2, 9), max_size=9))
def test_what_is_told_is_the_undisturbed_time(seconds: float, slower: list[float]) -> None:
    disturbed = [repetition(seconds * factor) for factor in slower]
    assert typical([*disturbed, *[repetition(seconds)] * ENOUGH]) == repetition(seconds)


def test_a_machine_that_is_never_quiet_gives_no_figure() -> None:
    seconds = [1.0, 1.05, *(2.0 + index for index in range(9))]
    with pytest.raises(DisturbedError, match="2 of 11"):
        typical([repetition(each) for each in seconds])


def test_a_comparison_on_a_busy_machine_says_so() -> None:
    seconds = iter([9.0, 3.0, 1.0, 2.0, 4.0])
    (times,) = measure_in_turn([lambda: repetition(next(seconds))], limit=4)
    assert (times.total, times.disturbed) == (2.0, True)


def test_contenders_take_turns() -> None:
    turns: list[str] = []

    def runner(name: str, seconds: float) -> Times:
        turns.append(name)
        return repetition(seconds)

    first, second = measure_in_turn([lambda: runner("a", 1.0), lambda: runner("b", 2.0)])
    assert (first.total, second.total) == (1.0, 2.0)
    assert turns == ["a", "b"] * (1 + ENOUGH)
