"""Every port and health path of image, compose, Kubernetes and Prometheus leads to something."""

from __future__ import annotations

import re
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.stack.triton_server import default_wheel
from tests.deploy.listeners import (
    DOCKERFILE,
    PROMETHEUS,
    ROOT,
    TRITON,
    Listener,
    listeners,
)
from tests.deploy.manifests import OVERLAYS, container, of_kind, pods
from tests.observability.prometheus_server import run_prometheus

COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
OBSERVABILITY = ROOT / "deploy/observability"
OWN_URL = re.compile(r"http://127\.0\.0\.1:(\d+)(/[^\"'\s]*)?")


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> dict[str, Listener]:
    return listeners(monkeypatch)


def known_as(service: str) -> str:
    """The name under which others reach a service of compose, `worker` of `worker-gpu`."""
    return service.partition("-")[0]


def asked(text: str) -> list[tuple[int, str]]:
    """Ports and paths on the own machine."""
    return [(int(port), path) for port, path in OWN_URL.findall(text)]


@pytest.mark.parametrize("target", ["gateway", "worker", "triton"])
def test_an_image_exposes_what_it_listens_on(target: str, real: dict[str, Listener]) -> None:
    own = DOCKERFILE.partition(f" AS {target}\n")[2].partition("\nFROM ")[0]
    (ports,) = re.findall(r"^EXPOSE (.*)$", own, flags=re.MULTILINE)
    assert set(map(int, ports.split())) == real[target].ports
    for port, path in asked(own.partition("HEALTHCHECK")[2]):
        assert port == real[target].health_port
        assert path in real[target].health_paths


def test_the_canary_asks_triton_where_it_listens() -> None:
    canary = (ROOT / "deploy/triton/canary.py").read_text(encoding="utf-8")
    assert asked(canary) == [(TRITON.health_port, "")]


@pytest.mark.parametrize("service", SERVICES)
def test_compose_publishes_and_asks_what_there_is(service: str, real: dict[str, Listener]) -> None:
    listener = real[known_as(service)]
    for published in SERVICES[service].get("ports", ()):
        assert int(published.rpartition(":")[2]) in listener.ports
    health = SERVICES[service].get("healthcheck")
    if health is None:
        # That of the image, which is ours.
        assert SERVICES[service]["build"]["target"] == known_as(service)
    elif service != "redis":
        ((port, path),) = asked(" ".join(health["test"]))
        assert port == listener.health_port
        assert path in listener.health_paths


def test_services_of_compose_find_each_other(real: dict[str, Listener]) -> None:
    grafana = OBSERVABILITY / "grafana/provisioning/datasources/prometheus.yml"
    text = COMPOSE + grafana.read_text(encoding="utf-8")
    found = re.findall(rf"\b({'|'.join(real)}):(\d{{2,}})(?![.\d])", text)
    assert {name for name, _ in found} == {"redis", "triton", "prometheus"}
    for name, port in found:
        assert int(port) in real[name].ports, name
    aliases = {
        alias
        for service in SERVICES.values()
        for alias in service.get("networks", {}).get("default", {}).get("aliases", ())
    }
    assert aliases == {"worker", "triton"}


def test_prometheus_asks_where_metrics_are(real: dict[str, Listener]) -> None:
    config = yaml.safe_load((OBSERVABILITY / "prometheus/prometheus.yml").read_text())
    jobs = {each["job_name"]: each["dns_sd_configs"] for each in config["scrape_configs"]}
    assert set(jobs) == {name for name, each in real.items() if each.metrics_port}
    for name, ways in jobs.items():
        assert ways == [{"names": [name], "type": "A", "port": real[name].metrics_port}]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubernetes_names_ports_and_paths_that_there_are(
    overlay: str, real: dict[str, Listener]
) -> None:
    for name in pods(overlay):
        ports = {each["name"]: each["containerPort"] for each in container(overlay, name)["ports"]}
        assert set(ports.values()) == real[name].ports
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            http = container(overlay, name)[probe].get("httpGet")
            if http is not None:
                assert ports[http["port"]] == real[name].health_port
                assert http["path"] in real[name].health_paths
    for name, monitor in of_kind(overlay, "ServiceMonitor").items():
        service = of_kind(overlay, "Service")[name]["spec"]["ports"]
        numbers = {each["name"]: each["port"] for each in service}
        for endpoint in monitor["spec"]["endpoints"]:
            assert numbers[endpoint["port"]] == real[name].metrics_port
    for scaled in of_kind(overlay, "ScaledObject").values():
        for trigger in scaled["spec"]["triggers"]:
            address = trigger["metadata"]["serverAddress"]
            assert int(address.rpartition(":")[2]) in PROMETHEUS.ports


def told(command: list[str]) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return ended.stdout + ended.stderr


def test_triton_itself_says_these_ports() -> None:
    binary = default_wheel() / "pytriton/tritonserver/bin/tritonserver"
    if not binary.exists():
        pytest.skip("Triton's wheel is not installed")
    text = told([str(binary), "--help"])
    said = re.findall(r"--(?:http|grpc|metrics)-port <integer>\n[^-]*?Default\s+is (\d+)", text)
    assert set(map(int, said)) == TRITON.ports, text[:500]


def test_prometheus_itself_says_this_port_and_answers_at_this_path(tmp_path: Path) -> None:
    if shutil.which("prometheus") is None:
        pytest.skip("there is no prometheus on this machine")
    (port,) = re.findall(r'--web\.listen-address="[^"]*:(\d+)"', told(["prometheus", "--help"]))
    assert int(port) in PROMETHEUS.ports
    nobody = {name: "127.0.0.1:1" for name in ("gateway", "worker", "triton")}
    with run_prometheus(nobody, tmp_path) as prometheus:
        for path in PROMETHEUS.health_paths:
            with urllib.request.urlopen(prometheus.url + path, timeout=10) as answer:
                assert answer.status == 200
