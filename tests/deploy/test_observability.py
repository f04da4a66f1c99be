"""What compose mounts and what KEDA asks for is there."""

from __future__ import annotations

import re

import yaml
from prometheus_client.registry import Collector

from service.metrics import Metrics
from tests.deploy.manifests import ROOT, of_kind


def series() -> set[str]:
    registry = Metrics().registry
    collectors: set[Collector] = set(registry._names_to_collectors.values())
    return {metric.name for each in collectors for metric in each.collect()}


def test_every_path_that_compose_mounts_exists() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    mounts = [each for service in services.values() for each in service.get("volumes", ())]
    paths = [each.partition(":")[0] for each in mounts if each.startswith(".")]
    assert len(paths) >= 4
    assert all(path.startswith("./deploy/observability/") for path in paths)
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_grafana_finds_its_dashboards_and_they_their_data() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    mounted = dict(each.split(":")[:2] for each in services["grafana"]["volumes"])
    folder = ROOT / "deploy/observability/grafana"
    provisioning = folder / "provisioning"
    assert mounted[f"./{provisioning.relative_to(ROOT)}"] == "/etc/grafana/provisioning"
    providers = yaml.safe_load((provisioning / "dashboards/nfig.yml").read_text())["providers"]
    paths = [each["options"]["path"] for each in providers]
    assert paths == [mounted[f"./{(folder / 'dashboards').relative_to(ROOT)}"]]
    sources = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())
    (known,) = (each["uid"] for each in sources["datasources"])
    dashboards = sorted((folder / "dashboards").glob("*.json"))
    assert dashboards
    for path in dashboards:
        named = re.findall(r'"uid": "([^"]+)"', re.sub(r"\s+", " ", path.read_text()))
        assert known in named, path
        assert len(set(named) - {known}) == 1, f"{path}: beside its own uid there is another"


def test_prometheus_finds_its_rules_where_compose_mounts_them() -> None:
    prometheus = ROOT / "deploy/observability/prometheus"
    config = yaml.safe_load((prometheus / "prometheus.yml").read_text(encoding="utf-8"))
    for pattern in config["rule_files"]:
        assert list(prometheus.glob(pattern)), pattern


def test_what_workers_are_scaled_by_is_in_the_catalogue() -> None:
    (scaled,) = of_kind("autoscaled", "ScaledObject").values()
    queries = " ".join(each["metadata"]["query"] for each in scaled["spec"]["triggers"])
    assert set(re.findall(r"nfig_\w+", queries)) <= series()
