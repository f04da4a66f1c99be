"""Laws of keys and listeners, of the gateway as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from service.gateway.access.key_file import KeyFile
from service.gateway.access.keys import new_key
from service.stack.redis_server import RedisServer
from tests.gateway_process import COMMAND, free_port, running

ADMIN = [sys.executable, "-m", "service.admin", "keys", "new"]


def refusal(**settings: str) -> str:
    environment = {**os.environ, **{f"NFIG_{name.upper()}": v for name, v in settings.items()}}
    ended = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    return ended.stderr


def test_it_does_not_start_open_to_the_world_by_accident() -> None:
    told = refusal(host="0.0.0.0")
    assert "NFIG_HOST" in told
    assert "NFIG_API_KEYS_FILE" in told
    assert "NFIG_ALLOW_ANONYMOUS" in told


def test_it_does_not_start_with_keys_that_it_cannot_read(tmp_path: Path) -> None:
    assert "NFIG_API_KEYS_FILE" in refusal(api_keys_file=str(tmp_path / "missing.toml"))
    (tmp_path / "keys.toml").write_text("[keys.a]\ntenant = 'acme'\nsha256 = 'SECRET'\n")
    told = refusal(api_keys_file=str(tmp_path / "keys.toml"))
    assert "keys.a.sha256" in told
    assert "SECRET" not in told


def test_without_keys_it_says_who_can_draw(tmp_path: Path) -> None:
    with running(tmp_path / "log"):
        pass
    assert "only this machine" in (tmp_path / "log").read_text()
    with running(tmp_path / "open", host="0.0.0.0", allow_anonymous=1):
        pass
    assert "anybody who reaches 0.0.0.0 can draw" in (tmp_path / "open").read_text()


def test_keys_come_and_go_by_sighup_and_no_log_tells_them(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    path, log = tmp_path / "keys.toml", tmp_path / "log"
    first, second = new_key("acme"), new_key("acme")
    path.write_text(first.entry)
    settings = {"redis_url": redis_server.url, "queue_name": "sighup"}
    with running(log, api_keys_file=path, **settings) as (process, url):

        def status(key: str) -> int:
            headers = {"authorization": f"Bearer {key}"}
            httpx.post(f"{url}/v1/jobs", json={"class_label": "x"}, headers=headers)
            return httpx.get(f"{url}/v1/models", headers=headers).status_code

        assert (status(first.key), status(second.key)) == (200, 401)
        path.write_text(second.entry)
        process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        assert (status(first.key), status(second.key)) == (401, 200)
        assert httpx.get(f"{url}/health/live").status_code == 200
    text = log.read_text()
    assert "1 API keys were read" in text
    for made in (first, second):
        assert made.key.split("-", 2)[2] not in text
        assert made.entry.split('"')[3] not in text


def test_the_internal_listener_has_what_the_public_one_then_has_not(tmp_path: Path) -> None:
    port = free_port()
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    settings = {"redis_url": nowhere, "internal_port": port}
    with running(tmp_path / "log", **settings) as (process, url):
        inside = f"http://127.0.0.1:{port}"
        assert httpx.get(f"{inside}/health/live").status_code == 200
        assert "nfig_queue_depth" in httpx.get(f"{inside}/metrics").text
        for path in ("/health/live", "/health/ready", "/metrics"):
            assert httpx.get(url + path).status_code == 404
        assert httpx.get(f"{inside}/v1/models").status_code == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize("append", [False, True])
def test_the_command_makes_a_key_that_the_gateway_knows(tmp_path: Path, append: bool) -> None:
    path = tmp_path / "keys.toml"
    command = [*ADMIN, "--tenant", "acme", "--days", "30"]
    command += ["--append-to", str(path)] if append else []
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    if not append:
        path.write_text(ended.stderr.split("\n\n", 1)[1])
    (key,) = ended.stdout.split()
    assert key not in path.read_text()
    assert KeyFile(path).table().tenant(key, now=datetime.now(UTC)) == "acme"


def test_the_command_refuses_a_bad_name() -> None:
    ended = subprocess.run([*ADMIN, "--tenant", "A b"], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "tenant" in ended.stderr
    assert "Traceback" not in ended.stderr
