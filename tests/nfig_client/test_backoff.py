"""Laws of the pauses between attempts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nfig_client import Backoff, ConnectionLostError, NFIGError
from nfig_client.backoff import Retries


@given(st.integers(1, 10_000))
def test_pauses_are_bounded_and_double_until_then(failures: int) -> None:
    backoff = Backoff(first_seconds=0.25, longest_seconds=8.0)
    ceiling = 0.25 * 2.0 ** min(failures - 1, 5)
    assert ceiling / 2 <= backoff.seconds(failures) <= ceiling


def test_pauses_differ_between_clients() -> None:
    assert len({Backoff().seconds(3) for _ in range(20)}) > 10


def test_what_the_service_asks_for_is_the_least() -> None:
    error = ConnectionLostError("gone")
    error.retry_after_s = 30.0
    assert Retries(Backoff()).pause_after(error) == 30.0
    error.retry_after_s = 61.0
    with pytest.raises(ConnectionLostError):
        Retries(Backoff(patience_seconds=60.0)).pause_after(error)


def test_failures_in_a_row_are_counted() -> None:
    retries = Retries(Backoff(max_retries=1))
    for _ in range(3):
        retries.pause_after(ConnectionLostError("gone"))
        retries.reset()
    retries.pause_after(ConnectionLostError("gone"))
    with pytest.raises(ConnectionLostError):
        retries.pause_after(ConnectionLostError("gone"))


def test_what_will_not_pass_is_raised_at_once() -> None:
    with pytest.raises(NFIGError, match="never"):
        Retries(Backoff()).pause_after(NFIGError("never"))
