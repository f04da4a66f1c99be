"""Every benchmark runs, at a size that says nothing, and keeps what it says."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import (
    brownout,
    gateway_cost,
    latency,
    naive_peer,
    overload,
    simulation,
    watchers,
    whole_path,
)
from benchmarks.engine_alone import BATCH_SIZES, EngineAlone
from benchmarks.line_chart import Chart, page
from benchmarks.paced_engine import grid_sides, psnr_of_bands
from benchmarks.reports import Report, quantile


def test_latency_compares_the_path_with_the_engine() -> None:
    (row,) = latency.measure(clients=[2], images=2, band_ms=5.0).rows
    assert row["engine p50 ms"] >= 5 * 5.0
    for name in ("p50", "p99"):
        added = row[f"path {name} ms"] - row[f"engine {name} ms"]
        assert row[f"added {name} ms"] == pytest.approx(added, abs=0.01)
    assert row["added p50 ms"] > 0
    assert row["images/s"] > 0


def test_gateway_cost_compares_the_gateway_with_bare_fastapi() -> None:
    report = gateway_cost.measure(requests=100, streams=2, bands=10, gap_ms=5.0, rounds=2)
    assert [row["per"] for row in report.rows] == ["POST /v1/jobs", "streamed band"]
    assert all(row["gateway us"] > 0 for row in report.rows)
    assert "demanded" in report.verdict


def test_watchers_all_see_every_band() -> None:
    report = watchers.measure(watchers=10, rpc_watchers=4, jobs=3, bands=4, gap_ms=20.0)
    found = [(row["door"], row["watchers"], row["bands"], row["missed"]) for row in report.rows]
    assert found == [("SSE", 10, 40, 0), ("gRPC", 4, 16, 0)]
    assert all(0 < row["p50 ms"] <= row["p99 ms"] <= row["max ms"] for row in report.rows)


def test_overload_completes_what_it_can_and_refuses_the_rest() -> None:
    load = overload.Load(
        multiples=(0.5, 4.0), seconds=2.0, warm_up=1.0, image_seconds=0.2, slots=2, depth=8
    )
    report = overload.measure(load)
    calm, busy = report.rows
    assert (calm["refused"], calm["failed"], busy["failed"]) == (0, 0, 0)
    assert busy["refused"] > 0
    assert busy["completed images/s"] > calm["completed images/s"]
    assert busy["completed p99 ms"] > busy["completed p50 ms"] > 200.0
    assert "demanded" in report.verdict
    simulated = simulation.compare(report.parameters, report.rows).rows
    assert simulated[0]["simulated refused"] == 0
    assert simulated[1]["simulated refused"] > 0


def test_brownout_draws_more_images_of_fewer_bands(tmp_path: Path) -> None:
    load = brownout.BrownoutLoad(
        multiples=(3.0,),
        seconds=2.0,
        warm_up=2.0,
        image_seconds=0.3,
        slots=2,
        depth=12,
        target_seconds=0.2,
    )
    report = brownout.measure(load)
    without, with_ = report.rows
    assert (without["shedding"], without["bands"]) == ("without", 5)
    assert with_["bands"] < 5
    assert with_["PSNR dB"] < without["PSNR dB"]
    assert with_["completed images/s"] > without["completed images/s"]
    chart = brownout.publish(report, folder=tmp_path)
    assert chart.with_suffix(".json").exists()
    root = ElementTree.parse(chart).getroot()
    assert len(root.findall(".//{*}polyline")) == 4


def test_the_naive_peer_stands_beside_the_engine_and_the_service() -> None:
    report = naive_peer.measure(clients=2, seconds=0.5, rounds=1, engine="fake")
    engine = [f"engine, batch {batch}" for batch in BATCH_SIZES]
    assert [row["who"] for row in report.rows] == [*engine, "naive peer", "service"]
    assert all(row["images/s"] > 0 for row in report.rows)
    naive, ours = report.rows[-2:]
    # The fake engine takes no time at all.
    assert ours["images/s"] > naive["images/s"]
    assert "demanded" in report.verdict


def test_the_whole_path_stands_beside_the_engine() -> None:
    report = whole_path.measure(images=2, seconds=0.5, rounds=1, engine="fake")
    for row in report.rows:
        ratio = row["whole path"] / row["engine alone"]
        assert row["path / engine"] == pytest.approx(ratio, rel=0.5)
    assert "demanded" in report.verdict


def test_the_engine_alone_draws_what_the_seed_says_in_any_batch() -> None:
    engine = EngineAlone.load()
    first, second = engine.draw(3, [7, 8])
    assert (first == engine.draw(3, [7])[0]).all()
    assert (first != second).any()


def test_the_paced_engine_knows_what_each_band_is_worth() -> None:
    psnr = psnr_of_bands()
    assert len(psnr) == len(grid_sides())
    assert psnr == sorted(psnr)


def test_a_chart_holds_every_point() -> None:
    lines = {"a < b": [(0.0, 0.0), (2.0, 7.0)], "c": [(1.0, 3.0)]}
    drawn = page([Chart(title="t", x_label="x", y_label="y", lines=lines)])
    root = ElementTree.fromstring(drawn)
    texts = {node.text for node in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"t", "x", "y", "a < b", "c"} <= texts
    circles = list(root.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(circles) == 3
    assert all(0 <= float(circle.attrib["cy"]) <= 280 for circle in circles)


def test_a_report_is_kept_with_its_date_and_its_machine(tmp_path: Path) -> None:
    report = Report(name="example", parameters={"size": 1}, rows=[{"what": "a", "ms": 1.5}])
    path = report.publish(tmp_path)
    assert path.name.endswith("-example.json")
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert kept["rows"] == [{"what": "a", "ms": 1.5}]
    assert path.name.startswith(kept["date"][:10])
    assert kept["machine"]["cores"] >= 1


def test_a_quantile_is_a_value_that_was_seen() -> None:
    values = [5.0, 1.0, 3.0, 2.0, 4.0]
    assert [quantile(values, share) for share in (0.01, 0.2, 0.5, 0.99, 1.0)] == [1, 1, 3, 5, 5]
