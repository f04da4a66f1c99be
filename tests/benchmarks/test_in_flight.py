"""What the three ways of making batches have in common, and where they must differ."""

from __future__ import annotations

from itertools import pairwise

import pytest

from benchmarks.in_flight import BOTH_CORES, WAYS, Way, measure, simulated
from nfig.export.contract import BATCH_SIZES

COSTS = {size: [0.01, 0.02 + 0.01 * size, 0.03 + 0.02 * size] for size in BATCH_SIZES}
"""Of three bands."""


@pytest.mark.parametrize("way", WAYS)
def test_a_lone_row_takes_what_its_bands_take(way: Way) -> None:
    (row,) = simulated(way, COSTS, [5.0])
    speed = 1.0 if way == "two instances" else BOTH_CORES
    assert row.first - 5.0 == pytest.approx(0.01 / speed)
    assert row.last - 5.0 == pytest.approx(sum(COSTS[1]) / speed)


@pytest.mark.parametrize("way", WAYS)
def test_all_rows_come_to_their_end_and_none_before_it_came(way: Way) -> None:
    arrivals = [0.003 * number for number in range(200)]
    rows = simulated(way, COSTS, arrivals)
    assert [row.arrived for row in rows] == arrivals
    assert all(row.bands == 3 and row.arrived < row.first < row.last for row in rows)
    assert all(earlier.first <= later.first for earlier, later in pairwise(rows))


def test_a_newcomer_waits_for_a_band_a_batch_or_nobody() -> None:
    first_bands = {way: simulated(way, COSTS, [0.0, 0.001])[1].first for way in WAYS}
    assert first_bands["two instances"] == pytest.approx(0.001 + 0.01)
    assert first_bands["joined"] == pytest.approx(2 * 0.01 / BOTH_CORES)
    assert first_bands["whole batches"] == pytest.approx((sum(COSTS[1]) + 0.01) / BOTH_CORES)


def test_the_report_has_every_way_at_every_load() -> None:
    report = measure(images=20, rounds=1, costs_of=lambda _: COSTS)
    assert {row["way"] for row in report.rows} == set(WAYS)
    assert len(report.rows) == 9
