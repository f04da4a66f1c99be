"""Laws of the bucket that counts requests."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from service.jobs.request_budget import MINUTE_US, budget, interval_us, take

RATES = st.integers(1, 1_000_000)
GAPS = st.lists(st.integers(0, MINUTE_US // 2), max_size=60)


@given(rate=st.integers(1, 30), gaps=GAPS)
def test_no_stretch_of_time_sees_more_than_a_full_bucket_and_what_came_back(
    rate: int, gaps: list[int]
) -> None:
    full_at, admitted = 0, []
    for now in accumulate(gaps, initial=10**15):
        after = take(full_at, now, per_minute=rate)
        if after is not None:
            full_at = after
            admitted.append(now)
    for index, begin in enumerate(admitted):
        for count, end in enumerate(admitted[index:], start=1):
            assert count <= rate + (end - begin) / interval_us(rate)


@given(rate=RATES, missing=st.integers(0, 2 * MINUTE_US))
def test_what_a_tenant_is_told_is_what_happens(rate: int, missing: int) -> None:
    now = 10**15
    full_at = now + min(missing, rate * interval_us(rate))
    told = budget(full_at, now, per_minute=rate, allowed=False)
    assert 0 <= told.remaining <= rate
    assert (take(full_at, now, per_minute=rate) is not None) == (told.remaining > 0)
    back = now + max(0, round(told.retry_seconds * 1e6))
    assert take(full_at, back, per_minute=rate) is not None
    full = now + round(told.reset_seconds * 1e6)
    assert budget(full_at, full, per_minute=rate, allowed=True).remaining == rate


@given(rate=RATES)
def test_a_new_tenant_may_make_a_minutes_worth_at_once(rate: int) -> None:
    assert budget(0, 10**15, per_minute=rate, allowed=True).remaining == rate
    assert interval_us(rate) * rate >= MINUTE_US
