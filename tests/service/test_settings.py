"""Settings by environment and by file, and what a wrong one does to each process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.settings import GatewaySettings, QueueSettings, WorkerSettings, load_settings

PROCESSES = {
    "gateway": ["service.gateway"],
    "worker": ["service.worker"],
    "stack": ["service.stack", "serve", "--engine", "fake"],
    "admin": ["service.admin", "jobs", "dead"],
}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "settings.toml"
    monkeypatch.setenv("NFIG_SETTINGS_FILE", str(path))
    return path


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('port = 9000\nmax_images = 3\nengine = "fake"\nredis_password = "hidden"\n')
    monkeypatch.setenv("NFIG_PORT", "9001")
    gateway = load_settings(GatewaySettings)
    assert (gateway.port, gateway.max_images, gateway.lease_seconds) == (9001, 3, 15.0)
    assert load_settings(WorkerSettings).engine == "fake"


def test_a_name_in_the_file_that_no_process_knows_is_refused(file: Path) -> None:
    file.write_text("max_imagse = 3\n")
    with pytest.raises(ValueError, match=r"max_imagse in .*: no such setting; is it max_images\?"):
        load_settings(GatewaySettings)


def test_a_wrong_value_is_named_where_it_was_set(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("port = 70000\nmax_images = 0\n")
    monkeypatch.setenv("NFIG_PORT", "70001")
    with pytest.raises(ValueError) as caught:
        load_settings(GatewaySettings)
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["NFIG_PORT", f"max_images in {file}"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("port", "is not TOML"),
        ('settings_file = "x"', "only the environment"),
    ],
)
def test_a_file_that_will_not_do_is_named(file: Path, content: str | None, said: str) -> None:
    if content is not None:
        file.write_text(content)
    with pytest.raises(ValueError, match=said) as caught:
        load_settings(QueueSettings)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("process", PROCESSES)
def test_a_wrong_setting_stops_the_start_of_every_process_and_is_named(
    process: str, file: Path, tmp_path: Path
) -> None:
    file.write_text('max_attempts = 0\nredis_password = "hidden"\n')
    environment = {**os.environ, "NFIG_LEASE_SECONDS": "soon"}
    ended = subprocess.run(
        [sys.executable, "-m", *PROCESSES[process]],
        env={"PYTHONPATH": str(Path.cwd()), **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "NFIG_LEASE_SECONDS: " in ended.stderr
    assert f"max_attempts in {file}: " in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "hidden" not in ended.stdout + ended.stderr


def test_secrets_are_not_printed_with_the_settings() -> None:
    secret = QueueSettings(redis_url="redis://:hidden@localhost/0", redis_password="hidden")
    assert "hidden" not in repr(secret) + str(secret)
