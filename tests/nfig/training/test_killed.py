"""A training that is killed goes on from its last saved state, and nobody can tell afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from nfig import checkpoint
from nfig.config import PRESETS

PRESET = PRESETS["avatars-64"]
STEPS = 12


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Two images of each class, one of them to train on."""
    labels = np.arange(32) % PRESET.transformer.num_classes
    side = PRESET.tokenizer.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (len(labels), side, side, 3), np.uint8)
    np.savez(tmp_path / "data.npz", x=pixels, y=labels)
    return tmp_path


def start(inputs: Path, run: str) -> subprocess.Popen[str]:
    command = [
        *(sys.executable, "-m", "nfig", "train", "tokenizer"),
        *("--data", "data.npz", "--run", run, "--out", f"{run}-model"),
        *("--batch-size", "2", "--epochs", "1.5", "--checkpoint-minutes", "0"),
    ]
    environment = {
        **os.environ,
        "NFIG_RUNS": str(inputs / "runs"),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(command, cwd=inputs, env=environment, stdout=subprocess.PIPE, text=True)


def kill_after(steps: int, child: subprocess.Popen[str], state: Path) -> None:
    """When the run's state has been saved so many times."""
    seen: set[tuple[int, int]] = set()
    deadline = time.monotonic() + 60
    while len(seen) < steps:
        assert child.poll() is None and time.monotonic() < deadline
        if state.exists():
            found = state.stat()
            seen.add((found.st_ino, found.st_mtime_ns))
        time.sleep(0.001)
    child.kill()
    child.communicate()
    assert child.returncode == -signal.SIGKILL


def said(child: subprocess.Popen[str]) -> str:
    output, _ = child.communicate(timeout=60)
    assert child.returncode == 0, output
    return output


def test_a_killed_training_ends_with_the_same_weights(inputs: Path) -> None:
    said(start(inputs, "whole"))
    kill_after(4, start(inputs, "killed"), inputs / "runs" / "killed" / "state.pt")
    assert not (inputs / "killed-model").exists()
    assert "resumed at step" in said(start(inputs, "killed"))
    states = [
        torch.load(inputs / "runs" / run / "state.pt", weights_only=True)
        for run in ("whole", "killed")
    ]
    assert states[0]["step"] == states[1]["step"] == STEPS
    for part in ("module", "averaged"):
        for name, value in states[0][part].items():
            assert torch.equal(value, states[1][part][name]), name
    digests = {checkpoint.digest(inputs / f"{run}-model") for run in ("whole", "killed")}
    assert len(digests) == 1
