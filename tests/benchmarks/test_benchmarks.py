"""Every benchmark runs, at a size that says nothing, and keeps what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import gateway_cost, latency, watchers
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
