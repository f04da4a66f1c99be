"""docs/scaling.md says what its command says, and the command what was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import per_image, scaling
from benchmarks.reports import with_part

COSTS = scaling.Costs(
    gateway=0.003,
    streamed_band=0.001,
    worker=0.006,
    triton=0.06,
    redis=0.0006,
    commands=100.0,
    bytes=10_000.0,
    dates=(),
)


def test_the_page_has_the_tables_of_its_command() -> None:
    text = scaling.PAGE.read_text(encoding="utf-8")
    part = scaling.page_part(scaling.Costs.newest())
    assert with_part(text, scaling.PLACE, part) == text


def test_no_part_is_busier_than_planned_and_none_could_be_spared() -> None:
    planned = scaling.plan(COSTS, 1000.0)
    for count, seconds in [
        (planned.gateways, COSTS.gateway),
        (planned.tritons, COSTS.triton / scaling.TRITON_CORES),
        (planned.redises, COSTS.redis),
    ]:
        assert 1000.0 * seconds / count <= scaling.BUSY + 1e-9
        assert 1000.0 * seconds / (count - 1 or 0.1) > scaling.BUSY
    assert planned.workers >= planned.tritons
    assert planned.watched > planned.gateways


def test_there_are_two_of_each_however_little_comes() -> None:
    planned = scaling.plan(COSTS, 0.001)
    counts = (planned.gateways, planned.workers, planned.tritons, planned.redises)
    assert counts == (2, 2, 2, 1)


def test_the_first_limit_is_the_least_and_follows_what_is_measured() -> None:
    limits = scaling.limits(COSTS)
    assert [rate for _, rate in limits] == sorted(rate for _, rate in limits)
    slow = replace(COSTS, triton=60.0)
    assert "Triton" in scaling.limits(slow)[0][0]


def test_simulated_times_rise_with_the_load() -> None:
    _, calm = scaling.simulated(COSTS, 10.0, 2)
    _, busy = scaling.simulated(COSTS, 60.0, 2)
    assert COSTS.triton / scaling.TRITON_CORES < calm < busy


def test_per_image_counts_every_process() -> None:
    report = per_image.measure(images=10, clients=2, fake=True)
    (row,) = report.rows
    assert min(row["gateway us"], row["worker us"], row["Redis commands"]) > 0
    assert row["images/s"] > 0
    assert row["engine us"] == pytest.approx(0.0)
