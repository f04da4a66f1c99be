"""What `make demo` and `make serve` run, as processes of their own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from PIL import Image

from service.gateway.access.keys import new_key

ROOT = Path(__file__).parents[2]


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "service.stack", *map(str, words)]


def run(*words: str | Path, **settings: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words),
        cwd=ROOT,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def environment(**settings: object) -> dict[str, str]:
    return {**os.environ, **{f"NFIG_{name.upper()}": str(v) for name, v in settings.items()}}


def test_the_demo_leaves_an_image_and_a_film_strip(
    tiny_checkpoint: Path, new_repository: Callable[[], Path], tmp_path: Path
) -> None:
    where = ["--checkpoint", tiny_checkpoint, "--repository", new_repository()]
    ended = run("demo", "--dir", tmp_path / "out", "--class", "dog", *where)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for name in ("export", "Redis", "worker", "gateway", "drawing 'dog'"):
        assert re.search(rf"✓ {name} +\d+\.\d s", ended.stdout), ended.stdout
    assert re.search(r"5 +│ +8 x 8 +│ +\d+\.\d +│ +\d+\.\d", ended.stdout), ended.stdout
    with Image.open(tmp_path / "out" / "demo" / "image.png") as image:
        assert image.size == (32, 32)
    with Image.open(tmp_path / "out" / "demo" / "film_strip.png") as strip:
        assert strip.width > 6 * 256


def test_a_part_that_fails_is_named_with_its_log(
    new_repository: Callable[[], Path], tmp_path: Path
) -> None:
    (tmp_path / "checkpoint").mkdir()
    where = ["--checkpoint", tmp_path / "checkpoint", "--repository", new_repository()]
    ended = run("demo", "--dir", tmp_path / "out", *where)
    assert ended.returncode == 1
    assert "export ended with status" in ended.stdout
    assert str(tmp_path / "out" / "logs" / "export.log") in ended.stdout


def test_a_checkpoint_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    ended = run("demo", "--checkpoint", tmp_path / "nowhere")
    assert ended.returncode == 2
    assert "--checkpoint" in ended.stderr


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (["demo", "--engine", "fake"], {"api_keys_file": "keys.toml"}),
        (["serve", "--engine", "fake"], {"internal_port": 8080}),
    ],
    ids=["a key that the demo has not", "health where the stack does not look"],
)
def test_a_setting_that_cannot_work_here_is_refused_by_name(
    words: list[str], settings: dict[str, object]
) -> None:
    ended = run(*words, **settings)
    assert ended.returncode == 2
    (name,) = settings
    assert f"NFIG_{name.upper()}" in ended.stderr


def test_serve_with_keys_says_how_to_show_one(tmp_path: Path) -> None:
    made = new_key("acme")
    (tmp_path / "keys.toml").write_text(made.entry, encoding="utf-8")
    with serving(tmp_path, api_keys_file=tmp_path / "keys.toml") as (process, printed):
        line = re.search(r"^try +(curl .*)$", printed, re.MULTILINE)
        assert line, printed
        ended = subprocess.run(
            ["sh", "-c", line[1]],
            env={**os.environ, "KEY": made.key},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "event: image_generation.completed" in ended.stdout, ended
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0


@contextmanager
def serving(folder: Path, **settings: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`serve` with the fake engine once it is up, and what it has printed until then."""
    words = command("serve", "--engine", "fake", "--dir", folder, "--port", "0", "--grpc-port", "0")
    with subprocess.Popen(
        words, cwd=ROOT, env=environment(**settings), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            lines = []
            while "Ctrl-C" not in (line := process.stdout.readline()):
                lines.append(line)
                assert process.poll() is None, lines
            yield process, "".join(lines)
        finally:
            process.terminate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=str)
def test_serve_prints_a_curl_line_and_stops_on_a_signal(
    number: signal.Signals, tmp_path: Path
) -> None:
    with serving(tmp_path) as (process, printed):
        url = re.search(r"curl -N (http://\S+?)/v1/images/generations", printed)
        assert url, printed
        assert httpx.get(f"{url[1]}/health/ready").status_code == 200
        grpc_door = re.search(r"^gRPC +(127\.0\.0\.1):(\d+)$", printed, re.MULTILINE)
        assert grpc_door, printed
        socket.create_connection((grpc_door[1], int(grpc_door[2])), timeout=5).close()
        process.send_signal(number)
        assert process.wait(40) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url[1]}/health/live")


def test_an_interrupted_demo_stops_what_it_started(tmp_path: Path) -> None:
    words = command("demo", "--engine", "fake", "--dir", tmp_path)
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 130
    assert address
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(address[1])), timeout=5)
