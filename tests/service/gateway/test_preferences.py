"""Laws of the `Prefer` header."""

from __future__ import annotations

import pytest

from service.gateway.rest.preferences import Preferences, read_preferences


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], Preferences()),
        (["wait=5"], Preferences(wait_seconds=5)),
        (["WAIT = 5 ; foo=bar"], Preferences(wait_seconds=5)),
        (['wait="5"'], Preferences(wait_seconds=5)),
        (["wait=5, wait=7"], Preferences(wait_seconds=5)),
        (["wait=999999999"], Preferences(wait_seconds=60)),
        (["respond-async, wait=0"], Preferences(wait_seconds=0, respond_async=True)),
        (["respond-async", "wait=2"], Preferences(wait_seconds=2, respond_async=True)),
        (['handling="a, wait=9", wait=3'], Preferences(wait_seconds=3)),
        (['handling="a, wait=9'], Preferences()),
    ],
)
def test_the_first_of_each_kind_counts_within_the_limit(
    headers: list[str], expected: Preferences
) -> None:
    assert read_preferences(headers, max_wait_seconds=60.0) == expected


@pytest.mark.parametrize("value", ["", "wait", "wait=", "wait=x", "wait=-1", "wait=1.5", ',",\\'])
def test_what_cannot_be_read_is_passed_over(value: str) -> None:
    assert read_preferences([value], max_wait_seconds=60.0) == Preferences()


def test_what_was_heard_is_said() -> None:
    assert Preferences().headers() == {}
    both = Preferences(wait_seconds=3, respond_async=True)
    assert both.headers() == {"preference-applied": "respond-async, wait=3"}
