"""Where each service listens and what it answers there, by the code and by what others document."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.gateway.rest.health import router
from service.settings import GatewaySettings, WorkerSettings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Listener:
    """What one service answers to."""

    ports: frozenset[int]
    metrics_port: int | None = None
    health_port: int
    health_paths: frozenset[str] = frozenset()
    """Of `health_port`, by HTTP; there are none where something else is asked."""


def of_image(target: str) -> dict[str, str]:
    """Variables that the target's own lines of the Dockerfile set."""
    own = DOCKERFILE.partition(f" AS {target}\n")[2].partition("\nFROM ")[0]
    said = re.findall(r"^ENV (.*)$", own.replace("\\\n", " "), flags=re.MULTILINE)
    return dict(re.findall(r"(\w+)=(\S+)", " ".join(said)))


def gateway(monkeypatch: pytest.MonkeyPatch) -> Listener:
    """As its image sets it."""
    for variable, value in of_image("gateway").items():
        monkeypatch.setenv(variable, value)
    settings = GatewaySettings(allow_anonymous=True)
    assert settings.internal_port is not None
    return Listener(
        ports=frozenset({settings.port, settings.grpc_port, settings.internal_port}),
        metrics_port=settings.internal_port,
        health_port=settings.internal_port,
        health_paths=frozenset(route.path for route in router().routes if hasattr(route, "path")),
    )


def worker(monkeypatch: pytest.MonkeyPatch) -> Listener:
    """As its image sets it."""
    for variable, value in of_image("worker").items():
        monkeypatch.setenv(variable, value)
    port = WorkerSettings().worker_port
    return Listener(
        ports=frozenset({port}),
        metrics_port=port,
        health_port=port,
        health_paths=frozenset({"/metrics"}),
    )


# Of programs that are not ours. test_listeners.py asks those that are on this machine.
TRITON = Listener(ports=frozenset({8000, 8001, 8002}), metrics_port=8002, health_port=8000)
REDIS = Listener(ports=frozenset({6379}), health_port=6379)
PROMETHEUS = Listener(
    ports=frozenset({9090}), health_port=9090, health_paths=frozenset({"/-/ready"})
)
GRAFANA = Listener(
    ports=frozenset({3000}), health_port=3000, health_paths=frozenset({"/api/health"})
)


def listeners(monkeypatch: pytest.MonkeyPatch) -> dict[str, Listener]:
    """By the name under which other services reach it."""
    ours = {"gateway": gateway(monkeypatch), "worker": worker(monkeypatch)}
    others = {"triton": TRITON, "redis": REDIS, "prometheus": PROMETHEUS, "grafana": GRAFANA}
    return ours | others
