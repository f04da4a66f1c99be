"""Laws of `nfig-client` as a process, with and without a terminal."""

from __future__ import annotations

import io
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from nfig_client import Client
from tests.nfig_client.gateway_thread import GatewayThread

pytestmark = pytest.mark.timeout(90)
COMMAND = [sys.executable, "-m", "nfig_client"]


def environment(gateway: GatewayThread) -> dict[str, str]:
    return {**os.environ, "NFIG_BASE_URL": gateway.url, "TERM": "xterm", "COLORTERM": "truecolor"}


def run(gateway: GatewayThread, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, words)],
        env=environment(gateway),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def in_terminal(gateway: GatewayThread, *words: str | Path) -> str:
    """What the command writes to a terminal."""
    ours, theirs = pty.openpty()
    command = [*COMMAND, *map(str, words)]
    size = {**environment(gateway), "COLUMNS": "100", "LINES": "40"}
    with subprocess.Popen(command, env=size, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        written = b""
        while chunk := _read(ours):
            written += chunk
        assert process.wait(30) == 0, written.decode()
    os.close(ours)
    return written.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        # Linux says so when the other end is closed.
        return b""


def test_an_image_is_drawn_watched_and_saved_without_a_terminal(
    gateway: GatewayThread, tmp_path: Path
) -> None:
    out = tmp_path / "red.png"
    ended = run(gateway, "generate", "--class", "red", "--seed", 7, "--watch", "--out", out)
    assert (ended.returncode, ended.stderr) == (0, "")
    bands = re.findall(r"image 0: band (\d) in \d+\.\d ms\n", ended.stdout)
    assert bands == ["0", "1", "2", "3", "4"]
    assert ended.stdout.endswith(f"{out}: seed 7, 5 bands\n")
    assert "\x1b" not in ended.stdout
    with Client(gateway.url) as client:
        assert out.read_bytes() == client.generate("red", seed=7).images[0].content


def test_in_a_terminal_the_bands_sharpen(gateway: GatewayThread, tmp_path: Path) -> None:
    gateway.engine.band_seconds = 0.05
    words = ["--class", "red", "--count", "2", "--watch", "--out", tmp_path / "red.webp"]
    written = in_terminal(gateway, "generate", *words)
    frames = written.split("\x1b[2K")
    assert written.count("▀") > 64 * 32 * 4
    assert len(frames) > 5
    assert "image 1: complete with 5 bands" in written
    for name in ("red-0.webp", "red-1.webp"):
        with Image.open(io.BytesIO((tmp_path / name).read_bytes())) as image:
            assert (image.format, image.size) == ("WEBP", (64, 64))


def test_models_are_listed_with_their_classes(gateway: GatewayThread) -> None:
    ended = run(gateway, "models")
    assert ended.stdout.startswith("fake: ready, 64x64, 5 bands (1, 2, 4, 8, 16)\n  red, amber, ")


def test_jobs_are_shown_watched_and_cancelled_by_id(gateway: GatewayThread) -> None:
    gateway.engine.band_seconds = 4.0
    with Client(gateway.url) as client:
        job = client.create("red", seed=7)
        assert run(gateway, "jobs", "cancel", job.id).returncode == 0
        assert client.cancel(job).id == list(client.watch(job))[-1].job
        shown = run(gateway, "jobs", "show", job.id).stdout
        assert shown.startswith(f"{job.id}: cancelled, fake, class 0, seed 7\n  image 0: ")
        watched = run(gateway, "jobs", "watch", job.id)
        assert watched.returncode == 1
        assert re.fullmatch(r"(?s) +\d+ ms  queued\n.* +\d+ ms  cancelled\n", watched.stdout)
        first = next(iter(client.watch(job)))
        rest = run(gateway, "jobs", "watch", job.id, "--after", first.id).stdout
        assert watched.stdout.endswith(rest) and "queued" not in rest


def test_who_interrupts_it_cancels_its_job(gateway: GatewayThread, tmp_path: Path) -> None:
    gateway.engine.band_seconds = 2.0
    words = [*COMMAND, "generate", "--class", "red", "--watch", "--out", str(tmp_path / "a.png")]
    with subprocess.Popen(
        words, env=environment(gateway), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "queued" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) != 0
    with Client(gateway.url) as client:
        job = list(gateway.queue._records)[-1]
        assert "Cancelled" in type(list(client.watch(job))[-1]).__name__
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["generate", "--class", "nobody", "--out", "a.png"], 1, r"unknown_class"),
        (["generate", "--class", "red", "--out", "a.gif"], 2, r"out must end in \.png"),
        (["generate", "--class", "red", "--count", "99", "--out", "a.png"], 1, r"num_images"),
        (["jobs", "show", "nothing"], 1, r"not_found"),
        (["--base-url", "nowhere", "models"], 2, r"base_url"),
    ],
    ids=["class", "format", "count", "job", "address"],
)
def test_what_is_refused_is_one_line(
    gateway: GatewayThread, words: list[str], status: int, said: str
) -> None:
    ended = run(gateway, *words)
    assert ended.returncode == status
    assert re.fullmatch(rf"error: .*{said}.*\n", ended.stderr), ended.stderr
    assert ended.stdout == ""
