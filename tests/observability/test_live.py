"""What Prometheus makes of a stack at work: every figure that a dashboard shows is there."""

from __future__ import annotations

import json
import math
import re
import urllib.request
from pathlib import Path

import pytest

from nfig.export.contract import BATCH_SIZES
from tests.observability.conftest import Watched
from tests.observability.prometheus_server import Prometheus

DASHBOARDS = Path(__file__).parents[2] / "deploy" / "observability" / "grafana" / "dashboards"
VARIABLES = {"$__rate_interval": "1m", "$__range": "5m", "$model": ".*"}
BANDS = {str(band) for band in range(6)}


def panels() -> list[tuple[str, str]]:
    """Each query of each dashboard, and where it stands."""
    found = []
    for path in sorted(DASHBOARDS.glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                found.append((f"{path.stem}: {panel['title']} {target['refId']}", target["expr"]))
    return found


def finite(prometheus: Prometheus, expression: str) -> list[tuple[dict[str, str], float]]:
    return [sample for sample in prometheus.query(expression) if math.isfinite(sample[1])]


def test_every_panel_of_every_dashboard_has_something_to_show(watched: Watched) -> None:
    shown = panels()
    assert len(shown) > 30
    empty = []
    for place, expression in shown:
        for name, value in VARIABLES.items():
            expression = expression.replace(name, value)
        if not finite(watched.prometheus, expression):
            empty.append(f"{place}: {expression}")
    assert not empty


@pytest.mark.parametrize("baseline", ["as_published", "same_code"])
def test_the_speedup_of_each_band_is_there(watched: Watched, baseline: str) -> None:
    rule = f'model_band:nfig_band_speedup:ratio_rate5m{{baseline="{baseline}"}}'
    speedups = {labels["band"]: value for labels, value in finite(watched.prometheus, rule)}
    assert set(speedups) == BANDS
    assert min(speedups.values()) > 0


def test_the_baseline_is_what_tritons_model_has_measured_on_this_host(watched: Watched) -> None:
    file = watched.baseline
    infos = [labels for labels, _ in watched.prometheus.query("nfig_baseline_info")]
    assert {info["baseline"] for info in infos} == set(file["baselines"])
    for info in infos:
        assert info["model"] == "tiny"
        assert info["baseline_model"] == "tiny-var-d4"
        assert info["batch_sizes"] == ",".join(map(str, BATCH_SIZES))
        assert [info[name] for name in ("date", "device", "dtype")] == [
            file[name] for name in ("date", "device", "dtype")
        ]
    own, against = (
        sum(value for _, value in watched.prometheus.query(f"{name}_total"))
        for name in ("nfig_band_seconds", "nfig_band_baseline_seconds")
    )
    measured = [
        seconds
        for each in file["baselines"].values()
        for bands in each["seconds"].values()
        for seconds in bands
    ]
    batches = watched.prometheus.query("sum(nfig_band_latency_seconds_count)")[0][1]
    assert own > 0
    assert 2 * min(measured) <= against / batches * 1.02 <= 2 * max(measured) * 1.04


def test_a_band_is_counted_once_per_batch_not_once_per_row(watched: Watched) -> None:
    counts = watched.prometheus.query('nfig_band_latency_seconds_count{band="5"}')
    rows = watched.prometheus.query("sum(nfig_decode_seconds_count{kind='image'})")
    assert 0 < counts[0][1] <= rows[0][1]


def test_events_and_answers_carry_the_same_figures(watched: Watched) -> None:
    streams = [a for a in watched.answers if a.headers["content-type"].startswith("text/event")]
    assert len(streams) == 12
    for stream in streams:
        told = [json.loads(line[6:]) for line in stream.text.splitlines() if line[:5] == "data:"]
        previews, (image,) = told[:-1], told[-1:]
        assert previews
        for preview in previews:
            for name, ratio in preview["speedup"].items():
                by_size = watched.baseline["baselines"][name]["seconds"].values()
                measured = [bands[preview["band"]] * 1000 for bands in by_size]
                # Both figures are rounded.
                told_ms = pytest.approx(ratio * preview["band_latency_ms"], rel=0.02, abs=0.01)
                assert any(each == told_ms for each in measured)
        parts = image["timing_ms"]
        assert set(parts) == {"queue", "batch_wait", "bands", "decode", "encode", "total"}
        assert parts["bands"] == pytest.approx(sum(image["band_latencies_ms"]), abs=0.1)
        assert sum(parts.values()) - parts["total"] <= parts["total"] + 1
    whole = next(a for a in watched.answers if "server-timing" in a.headers)
    entries = re.findall(r"(\w+);dur=([\d.]+)", whole.headers["server-timing"])
    assert [name for name, _ in entries] == [
        *("queue", "batch_wait", "bands", "decode", "encode", "total")
    ]


def test_refusals_are_counted_by_the_code_that_their_caller_got(watched: Watched) -> None:
    (refused,) = {a.json()["error"]["code"] for a in watched.answers if a.status_code >= 400}
    counted = watched.prometheus.query(f'nfig_jobs_refused_total{{reason="{refused}"}}')
    assert counted[0][1] == sum(a.status_code >= 400 for a in watched.answers)


def test_scrapers_that_ask_for_openmetrics_get_it(watched: Watched) -> None:
    for url in (f"{watched.stack.gateway_url}/metrics", watched.stack.worker_metrics_url):
        headers = {"accept": "application/openmetrics-text; version=1.0.0"}
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.headers["content-type"].startswith("application/openmetrics-text")
            assert answer.read().endswith(b"# EOF\n")


def test_nothing_of_what_prometheus_is_told_fails(watched: Watched) -> None:
    groups = watched.prometheus.get("rules")["groups"]
    assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}
    firing = watched.prometheus.query('ALERTS{alertstate="firing", severity="page"}')
    assert not firing
