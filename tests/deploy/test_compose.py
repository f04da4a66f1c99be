"""The compose file says nothing that the processes do not know."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import GatewaySettings, WorkerSettings

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(
    (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
)["services"]
OURS = {
    "gateway": GatewaySettings,
    "worker": WorkerSettings,
    "worker-gpu": WorkerSettings,
    "worker-fake": WorkerSettings,
}


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting_and_every_value_is_taken(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in SERVICES[name]["environment"].items():
        assert variable.removeprefix("NFIG_").lower() in OURS[name].model_fields, variable
        monkeypatch.setenv(variable, value)
    settings = OURS[name]()
    grace = "shutdown_grace_seconds" if name == "gateway" else "grace_seconds"
    assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > getattr(settings, grace)


def test_ports_are_published_on_this_machine_alone_and_are_the_images() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for name, service in SERVICES.items():
        for port in service.get("ports", ()):
            address, _, inside = port.rsplit(":", 2)
            assert address == "127.0.0.1"
            if name == "gateway":
                assert re.search(rf"^EXPOSE .*\b{inside}\b", dockerfile, flags=re.MULTILINE)


def test_every_service_that_is_waited_for_is_healthy_first() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for service in SERVICES.values():
        for name, condition in service.get("depends_on", {}).items():
            assert condition == {"condition": "service_healthy"}
            target = SERVICES[name].get("build", {}).get("target")
            assert "healthcheck" in SERVICES[name] or f" AS {target}\n" in dockerfile


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_bounded_and_writes_nowhere_but_to_volumes(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] and service["mem_limit"] and service["cap_drop"] == ["ALL"]


def test_every_profile_brings_a_worker_and_the_default_is_cpu() -> None:
    assert "COMPOSE_PROFILES=cpu\n" in (ROOT / ".env").read_text(encoding="utf-8")
    workers = [name for name in SERVICES if name.startswith("worker")]
    assert sorted(SERVICES[name]["profiles"][0] for name in workers) == ["cpu", "fake", "gpu"]
    assert "profiles" not in SERVICES["gateway"]
