"""How each part of the stack is started, and when it counts as started."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from service.stack.choice import EngineName
from service.stack.processes import (
    HOST,
    ChildProcess,
    PartFailed,
    free_port,
    run_to_end,
    start_process,
    wait_until,
)
from service.stack.redis_server import start_redis
from service.stack.triton_server import TritonServer, start_triton

EXPORT_SECONDS = 180.0
START_SECONDS = 180.0
"""On busy cores an import of torch alone may take half a minute."""
READY_SECONDS = 120.0


class Part(Protocol):
    """One running server of the stack."""

    @property
    def name(self) -> str: ...

    @property
    def log(self) -> Path: ...

    def exit_status(self) -> int | None:
        """None while it runs."""

    def stop(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class ServerPart:
    """A server whose own module knows how to stop it."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    stop_server: Callable[[], None]

    def exit_status(self) -> int | None:
        return self.process.poll()

    def stop(self) -> None:
        self.stop_server()


def export_checkpoint(checkpoint: Path, repository: Path, logs: Path) -> str:
    """Fills the repository from the checkpoint; returns the model's id and the digest's start.

    Runs as a process of its own: the stack knows the model by its card alone.
    """
    command = [sys.executable, "-m", "nfig", "export", "--model", str(checkpoint)]
    command += ["--repository", str(repository)]
    run_to_end("export", command, log=logs / "export.log", timeout_seconds=EXPORT_SECONDS)
    card = json.loads((repository / "model.json").read_text(encoding="utf-8"))
    return f"{card['id']} {card['digest'][:12]}"


@dataclass(frozen=True, kw_only=True)
class RedisPart(ServerPart):
    url: str
    data: Path


@dataclass(kw_only=True)
class TritonPart:
    """May be started anew, at the same addresses."""

    repository: Path
    logs: Path
    server: TritonServer
    starts: int = 1
    name: str = "Triton"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        return self.server.process

    @property
    def log(self) -> Path:
        return self.server.log

    @property
    def grpc_url(self) -> str:
        return self.server.grpc_url

    @property
    def metrics_url(self) -> str:
        return self.server.metrics_url

    def exit_status(self) -> int | None:
        return self.server.process.poll()

    def stop(self) -> None:
        self.server.stop()

    def restart(self) -> None:
        """Raises PartFailed. The log of each start is kept."""
        self.server.process.kill()  # in order, it would wait long for a model that has died
        self.server.stop()
        self.starts += 1
        log = self.logs / f"triton-{self.starts}.log"
        self.server = _triton_server(self.repository, log, ports=self.server.ports)


def start_redis_part(data: Path, logs: Path, *, port: int = 0) -> RedisPart:
    server = start_redis(data, logs / "redis.log", port=port)
    return RedisPart(
        name="Redis",
        process=server.process,
        log=server.log,
        stop_server=server.stop,
        url=server.url,
        data=data,
    )


def start_triton_part(repository: Path, logs: Path) -> TritonPart:
    server = _triton_server(repository, logs / "triton.log")
    return TritonPart(repository=repository, logs=logs, server=server)


def _triton_server(
    repository: Path, log: Path, *, ports: tuple[int, int, int] | None = None
) -> TritonServer:
    """Raises PartFailed."""
    try:
        return start_triton(repository, log, timeout_seconds=START_SECONDS, ports=ports)
    except RuntimeError as error:
        raise PartFailed("Triton", f"did not start: {error}", log) from error


@dataclass(frozen=True, kw_only=True)
class WorkerPlan:
    """What a worker of the stack draws with."""

    engine: EngineName
    checkpoint: Path
    repository: Path
    triton_url: str | None


def start_worker(plan: WorkerPlan, redis_url: str, logs: Path) -> tuple[ChildProcess, str]:
    """A worker that answers on its metrics port, and that port's URL."""
    port = free_port()
    environment = {
        "NFIG_REDIS_URL": redis_url,
        "NFIG_ENGINE": plan.engine,
        "NFIG_CHECKPOINT": str(plan.checkpoint),
        "NFIG_CARD": str(plan.repository / "model.json"),
        "NFIG_WORKER_PORT": str(port),
    }
    if plan.triton_url is not None:
        environment["NFIG_TRITON_URL"] = plan.triton_url
    command = [sys.executable, "-m", "service.worker"]
    worker = start_process("worker", command, log=logs / "worker.log", environment=environment)
    url = f"http://{HOST}:{port}/metrics"
    _wait_or_stop(worker, lambda: answers(url), timeout_seconds=START_SECONDS)
    return worker, url


def start_gateway(
    redis_url: str,
    port: int,
    logs: Path,
    *,
    grpc_port: int = 0,
    environment: Mapping[str, str] | None = None,
) -> tuple[ChildProcess, str]:
    """A gateway that can be reached, and its URL. It may not be ready to draw yet."""
    environment = {
        **(environment or {}),
        "NFIG_REDIS_URL": redis_url,
        "NFIG_HOST": HOST,
        "NFIG_PORT": str(port),
        "NFIG_GRPC_PORT": str(grpc_port),
    }
    command = [sys.executable, "-m", "service.gateway"]
    gateway = start_process("gateway", command, log=logs / "gateway.log", environment=environment)
    url = f"http://{HOST}:{port}"
    _wait_or_stop(gateway, lambda: answers(f"{url}/health/live"), timeout_seconds=START_SECONDS)
    return gateway, url


def answers(url: str) -> bool:
    """True if a GET of the URL succeeds."""
    return _get(url) is not None


def engine_ready(gateway_url: str) -> bool:
    """True if the gateway reaches Redis and sees a worker whose engine can draw."""
    return "ready" in engine_states(gateway_url)


def engine_states(gateway_url: str) -> Collection[str]:
    """Of each model; none where the gateway does not reach Redis."""
    body = _get(f"{gateway_url}/health/ready")
    return () if body is None else json.loads(body)["engines"].values()


def _get(url: str) -> bytes | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 (http, loopback)
            body: bytes = answer.read()
            return body
    except (urllib.error.URLError, OSError):
        return None


def _wait_or_stop(
    child: ChildProcess, probe: Callable[[], bool], *, timeout_seconds: float
) -> None:
    try:
        wait_until(child, probe, timeout_seconds=timeout_seconds)
    except BaseException:
        child.stop()
        raise
