"""What documents, dashboards and rules speak of is what the service exports, and the reverse."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from prometheus_client.exposition import choose_encoder

from nfig.export import band_metrics
from nfig.export.contract import BASELINES
from service import metrics
from service.engine import triton_engine
from service.metrics import Metrics

ROOT = Path(__file__).parents[2]
OBSERVABILITY = ROOT / "deploy" / "observability"
RULES = OBSERVABILITY / "prometheus" / "rules"
SERIES = re.compile(r"(?<![\w:])(nfig_[a-z0-9_]+)")
SUFFIXES = re.compile(r"_(?:bucket|count|sum)$")


def catalogue() -> dict[str, tuple[str, list[str], str]]:
    """Kind, labels and text of each series by its name."""
    found = {}
    for series in Metrics().registry._collector_to_names:
        name = series._name + ("_total" if series._type == "counter" else "")
        found[name] = (series._type, list(series._labelnames), series._documentation)
    return found


def test_the_table_of_operations_is_the_catalogue() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(nfig_\w+)` \| [^|]+ \| (\w+) \| ([^|]*) \| (.*) \|$", text, re.M)
    told = {name: (kind, re.findall(r"`(\w+)`", labels), text) for name, kind, labels, text in rows}
    assert told == catalogue()


def test_no_label_can_grow_without_bound() -> None:
    used = {label for _, labels, _ in catalogue().values() for label in labels}
    assert not used & {"class", "class_label", "job", "tenant", "prompt", "user", "seed"}


def test_triton_exports_the_bands_as_the_catalogue_has_them() -> None:
    assert tuple(band_metrics.BAND_BUCKETS) == metrics.BAND_BUCKETS
    texts = {name: catalogue()[name][2] for name in band_metrics.DESCRIPTIONS}
    assert texts == dict(band_metrics.DESCRIPTIONS)
    assert triton_engine.BASELINES == BASELINES


def queries() -> list[str]:
    found = [
        target["expr"]
        for path in (OBSERVABILITY / "grafana" / "dashboards").glob("*.json")
        for panel in json.loads(path.read_text())["panels"]
        for target in panel["targets"]
    ]
    for path in RULES.glob("*.yml"):
        for group in yaml.safe_load(path.read_text())["groups"]:
            found += [rule["expr"] for rule in group["rules"]]
    return found


def test_rules_and_dashboards_ask_for_series_that_exist_and_for_all_of_them() -> None:
    names = {SUFFIXES.sub("", name) for query in queries() for name in SERIES.findall(query)}
    assert names == set(catalogue())


def test_every_alert_has_a_runbook() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    anchors = {heading.lower() for heading in re.findall(r"^### (\w+)$", text, re.M)}
    (group,) = yaml.safe_load((RULES / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]:
        page, anchor = rule["annotations"]["runbook_url"].split("#")
        assert (page, anchor) == ("docs/operations.md", rule["alert"].lower())
        assert anchor in anchors
        assert rule["labels"]["severity"] in {"page", "ticket", "info"}


def test_the_dashboards_are_what_the_generator_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = OBSERVABILITY / "grafana"
    monkeypatch.syspath_prepend(str(folder))
    written = runpy.run_path(str(folder / "generate.py"))["texts"]()
    monkeypatch.delitem(sys.modules, "panels")
    committed = {path.name: path.read_text() for path in (folder / "dashboards").glob("*.json")}
    assert committed == written


def test_promtool_finds_no_fault() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool on this machine")
    folder = OBSERVABILITY / "prometheus"
    tests = [str(path) for path in (folder / "tests").glob("*.yml")]
    for command in (["check", "config", str(folder / "prometheus.yml")], ["test", "rules", *tests]):
        ended = subprocess.run([promtool, *command], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_buckets_name_the_trace_that_fell_into_them(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    known: list[str | None] = [None, trace]
    monkeypatch.setattr(metrics, "current_trace_id", lambda: known.pop(0))
    exported = Metrics()
    exported.job_queue.labels(model="m").observe(0.015)
    exported.job_queue.labels(model="m").observe(0.3)
    encode, _ = choose_encoder("application/openmetrics-text; version=1.0.0")
    lines = encode(exported.registry).decode().splitlines()
    traced = [line for line in lines if "trace_id" in line]
    assert len(traced) == 1
    assert re.search(
        r'le="0.32".*# \{trace_id="0af7651916cd43dd8448eb211c80319c"\} 0\.3', traced[0]
    )
