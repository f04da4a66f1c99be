"""One running stack with the shipped model, and a folder with what the pages speak of."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from service.stack.progress import Progress
from service.stack.running import RunningStack, StackOptions, run_stack
from tests.documentation.blocks import ROOT

MODEL = ROOT / "checkpoints" / "avatars-64"


def copied_repository(folder: Path) -> Path:
    """A model repository that nothing has been exported into."""
    repository = folder / "model_repository"
    exported = shutil.ignore_patterns("*.safetensors", "*.json", "*.onnx", "__pycache__")
    shutil.copytree(ROOT / "model_repository", repository, ignore=exported)
    return repository


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """As `make serve --engine torch`: the pages' classes are the real model's."""
    folder = tmp_path_factory.mktemp("stack")
    repository = copied_repository(folder)
    options = StackOptions(
        engine="torch", checkpoint=MODEL, repository=repository, logs=folder / "logs"
    )
    with run_stack(options, Progress(console=Console(file=io.StringIO()))) as running:
        yield running


@pytest.fixture(scope="session")
def job(stack: RunningStack) -> str:
    """A job that has ended, for `$JOB`."""
    wanted = {"class_label": "cat", "seed": 7, "previews": 2}
    answer = httpx.post(
        f"{stack.gateway_url}/v1/jobs", json=wanted, headers={"prefer": "wait=60"}, timeout=70
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader who has cloned the repository might stand, with pictures of their own."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "checkpoints").symlink_to(ROOT / "checkpoints")
    copied_repository(folder)
    noise = np.random.default_rng(0)
    for name in (
        "cat.png",
        "mine.png",
        *(f"pictures/{c}/{i}.png" for c in "ab" for i in range(8)),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    # A refused request must fail its block, as it would a reader's script.
    (folder / ".curlrc").write_text("silent\nshow-error\nfail-with-body\nmax-time = 60\n")
    if shutil.which("grpcurl") is None:
        stand_in = folder / "programs" / "grpcurl"
        stand_in.parent.mkdir()
        script = Path(__file__).with_name("grpcurl.py")
        stand_in.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
        stand_in.chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def environment(stack: RunningStack, job: str, desk: Path) -> dict[str, str]:
    programs = Path(sys.executable).parent
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(programs), str(desk / "programs"), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "CURL_HOME": str(desk),
        "JOB": job,
        "KEY": "nfig_none",
        "NFIG_BASE_URL": stack.gateway_url,
        "NFIG_REDIS_URL": stack.redis.url,
        "NFIG_RUNS": str(desk / "runs"),
    }
