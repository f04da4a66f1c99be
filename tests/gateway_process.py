"""A gateway in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

COMMAND = [sys.executable, "-m", "service.gateway"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(log: Path, **settings: object) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    port = free_port()
    environment = {f"NFIG_{name.upper()}": str(value) for name, value in settings.items()}
    environment = {**os.environ, "NFIG_PORT": str(port), **environment}
    with log.open("wb") as file:
        process = subprocess.Popen(COMMAND, env=environment, stderr=file, stdout=file)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                # Of any status: it answers.
                httpx.get(f"{url}/openapi.json")
                break
            except httpx.TransportError:
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
        yield process, url
    finally:
        process.kill()
        process.wait()
