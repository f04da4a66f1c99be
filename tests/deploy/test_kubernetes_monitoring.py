"""What the Prometheus operator is told, which the schemas of Kubernetes do not know."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.manifests import NAME, ROOT, of_kind

OVERLAY = "autoscaled"
RULES = ROOT / "deploy/observability/prometheus/rules"


def test_every_service_monitor_finds_a_port_of_its_service() -> None:
    monitors = of_kind(OVERLAY, "ServiceMonitor")
    assert set(monitors) == {"gateway", "worker", "triton"}
    for name, monitor in monitors.items():
        assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
        assert set(monitor["spec"]) == {"selector", "endpoints"}
        service = of_kind(OVERLAY, "Service")[name]
        wanted = monitor["spec"]["selector"]["matchLabels"]
        assert wanted == {NAME: name}
        assert wanted.items() <= service["metadata"]["labels"].items()
        ports = {each["name"] for each in service["spec"]["ports"]}
        for endpoint in monitor["spec"]["endpoints"]:
            assert set(endpoint) == {"port", "path", "interval"}
            assert endpoint["port"] in ports
            assert endpoint["path"] == "/metrics"


def test_the_rules_manifest_is_what_its_writer_writes(ci: None) -> None:
    writer = importlib.import_module("prometheus_rules")
    assert writer.MANIFEST.read_text(encoding="utf-8") == writer.manifest(), "run make manifests"


def test_a_cluster_gets_every_rule_of_compose_and_no_other() -> None:
    (rules,) = of_kind(OVERLAY, "PrometheusRule").values()
    assert rules["apiVersion"] == "monitoring.coreos.com/v1"
    assert set(rules["spec"]) == {"groups"}
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(RULES.iterdir())]
    said = json.dumps(rules["spec"]["groups"]).replace(r"namespace=\"nfig\", ", "")
    assert json.loads(said) == [group for file in files for group in file["groups"]]


def test_rules_look_at_nothing_of_others_in_the_cluster() -> None:
    """Every selector is of a series of ours or keeps to our namespace."""
    (rules,) = of_kind(OVERLAY, "PrometheusRule").values()
    expressions = [rule["expr"] for group in rules["spec"]["groups"] for rule in group["rules"]]
    selectors = re.findall(r"(\w+)\{([^}]*)\}", " ".join(expressions))
    foreign = [labels for name, labels in selectors if not name.startswith("nfig_")]
    assert len(foreign) == 2
    for labels in foreign:
        assert f'namespace="{rules["metadata"]["namespace"]}"' in labels


def test_promtool_takes_the_rules_of_a_cluster(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool on this machine")
    (rules,) = of_kind(OVERLAY, "PrometheusRule").values()
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump(rules["spec"]), encoding="utf-8")
    ended = subprocess.run(
        [promtool, "check", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
