"""The queueing model: what is known without it, and what was measured."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from benchmarks import simulation
from benchmarks.queue_model import Fate, Model, Simulation, at_random, steadily
from benchmarks.reports import newest_result

SECONDS = 0.1
ONE = Model(
    workers=1,
    slots=1,
    depth=1_000_000,
    batches=1,
    batch_sizes=(1,),
    bands=5,
    band_seconds=lambda _band, size: SECONDS * size / 5,
)


def completed(fates: list[Fate]) -> list[float]:
    return [fate.seconds for fate in fates if not fate.refused]


def test_without_company_an_image_takes_as_long_as_its_bands_and_its_way() -> None:
    (fate,) = Simulation(replace(ONE, path_seconds=0.02)).run([3.0])
    assert fate.seconds == pytest.approx(SECONDS + 0.02)
    assert fate.first_band == pytest.approx(SECONDS / 5)


def test_the_mean_wait_is_what_pollaczek_and_khinchine_say() -> None:
    """Random arrivals, one server, a fixed time each: W = rho / (1 - rho) * s / 2 + s."""
    for load in (0.5, 0.8):
        fates = Simulation(ONE).run(at_random(load / SECONDS, 3000.0, seed=7))
        mean = sum(completed(fates)) / len(fates)
        assert mean == pytest.approx(SECONDS * (1 + load / (1 - load) / 2), rel=0.05)


def test_what_exceeds_the_queue_is_refused_and_everything_else_completed() -> None:
    model = replace(ONE, depth=4)
    fates = Simulation(model).run(steadily(20.0, 100.0))
    assert len(fates) == 2000
    assert len(completed(fates)) == pytest.approx(1000, rel=0.01)
    assert max(completed(fates)) <= 4 * SECONDS + 1e-9
    assert all(fate.seconds == 0.0 for fate in fates if fate.refused)


def test_workers_share_the_load() -> None:
    rate = 2.5 / SECONDS
    few, many = (
        completed(Simulation(replace(ONE, workers=workers)).run(at_random(rate, 60.0, seed=1)))
        for workers in (3, 6)
    )
    assert sum(many) < sum(few)
    assert min(many) == pytest.approx(SECONDS)


def test_what_comes_at_once_is_drawn_in_one_padded_batch() -> None:
    sizes: list[int] = []

    def band_seconds(_band: int, size: int) -> float:
        sizes.append(size)
        return 0.01

    batched = replace(
        ONE,
        slots=16,
        batch_sizes=(1, 2, 4, 8),
        bands=1,
        band_seconds=band_seconds,
        gather_seconds=0.005,
    )
    fates = Simulation(batched).run([0.0] * 11)
    assert sizes == [8, 4]
    assert completed(fates) == pytest.approx([0.015] * 8 + [0.025] * 3)


def test_jobs_begin_in_the_order_in_which_they_came() -> None:
    fates = Simulation(ONE).run(at_random(9.0, 30.0, seed=3))
    ends = [fate.arrived + fate.seconds for fate in fates]
    assert all(one < other for one, other in pairwise(ends))


def test_the_model_says_what_the_committed_overload_measured() -> None:
    kept = newest_result("overload")
    report = simulation.compare(kept["parameters"], kept["rows"])
    assert report.verdict.endswith(": met")
    assert [row["offered / capacity"] for row in report.rows] == [0.5, 1.0, 2.0, 5.0]
