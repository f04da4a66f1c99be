"""The compose file says nothing that the processes do not know."""

from __future__ import annotations

import re
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import GatewaySettings, WorkerSettings

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"]
OURS = {
    "gateway": GatewaySettings,
    "worker": WorkerSettings,
    "worker-gpu": WorkerSettings,
    "worker-fake": WorkerSettings,
}


def complaint(path: Path) -> str:
    """Of the compose specification's schema, which the checker carries; empty where it has none."""
    program = Path(sysconfig.get_path("scripts"), "check-jsonschema")
    command = [str(program), "--builtin-schema", "vendor.compose-spec", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.stdout + ended.stderr if ended.returncode else ""


def test_it_keeps_to_the_compose_specification(tmp_path: Path) -> None:
    assert not complaint(FILE)
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(FILE.read_text(encoding="utf-8").replace("mem_limit:", "mem_limits:", 1))
    assert "mem_limits" in complaint(wrong)


def test_every_service_that_has_settings_is_looked_at_here() -> None:
    set_here = {
        name
        for name, service in SERVICES.items()
        if any(variable.startswith("NFIG_") for variable in service.get("environment", {}))
    }
    assert set_here == set(OURS)


def test_no_secret_is_in_the_file() -> None:
    words = re.compile(r"PASSWORD|SECRET|TOKEN|KEY")
    for name, service in SERVICES.items():
        assert not [each for each in service.get("environment", {}) if words.search(each)], name
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    (passwords,) = SERVICES["grafana"]["env_file"]
    assert passwords["path"] in [line.lstrip("/") for line in ignored]


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


def test_ports_are_published_on_this_machine_alone() -> None:
    published = {name: each["ports"] for name, each in SERVICES.items() if "ports" in each}
    assert set(published) == {"gateway", "prometheus", "grafana"}
    for port in (port for ports in published.values() for port in ports):
        assert port.rsplit(":", 2)[0] == "127.0.0.1"


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
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_triton_has_memory_to_speak_through_to_its_models() -> None:
    for name in ("triton", "triton-gpu"):
        assert SERVICES[name]["shm_size"] == "1gb"


def test_every_profile_brings_a_worker_and_the_default_is_cpu() -> None:
    assert "COMPOSE_PROFILES=cpu\n" in (ROOT / ".env").read_text(encoding="utf-8")
    workers = [name for name in SERVICES if name.startswith("worker")]
    assert sorted(SERVICES[name]["profiles"][0] for name in workers) == ["cpu", "fake", "gpu"]
    assert "profiles" not in SERVICES["gateway"]
