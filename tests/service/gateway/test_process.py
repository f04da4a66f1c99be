"""Laws of `python -m service.gateway` as a process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.gateway_process import COMMAND, free_port, running


def test_without_redis_it_starts_refuses_at_once_and_stops_in_order(tmp_path: Path) -> None:
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    log = tmp_path / "log"
    with running(log, redis_url=nowhere) as (process, url):
        began = time.monotonic()
        answer = httpx.post(f"{url}/v1/images/generations", json={"prompt": "cat"})
        assert time.monotonic() - began < 2
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "queue_unavailable")
        assert httpx.get(f"{url}/health/ready").status_code == 503
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0
    assert "Traceback" not in log.read_text()


def test_a_redis_that_accepts_and_says_nothing_counts_as_down(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        with running(tmp_path / "log", redis_url=address) as (_, url):
            began = time.monotonic()
            answer = httpx.post(f"{url}/v1/images/generations", json={"prompt": "cat"})
            assert time.monotonic() - began < 2
            assert answer.json()["error"]["code"] == "queue_unavailable"


def test_a_wrong_setting_stops_the_start_and_is_named() -> None:
    environment = {**os.environ, "NFIG_PORT": "many", "NFIG_MAX_IMAGES": "0"}
    ended = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "NFIG_PORT: " in ended.stderr
    assert "NFIG_MAX_IMAGES: " in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_gateway_loads_neither_torch_nor_the_model_nor_an_engine() -> None:
    script = "import sys, service.gateway.__main__; print(*sorted(sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(ended.stdout.split())
    for name in ("torch", "nfig", "service.engine", "service.worker", "tritonclient"):
        assert name not in loaded
