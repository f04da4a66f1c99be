"""Two real processes that speak gloo: they hold the same weights, and those of one process."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nfig import checkpoint
from nfig.config import ModelConfig
from nfig.data import LabelledImages
from nfig.model import NFIGModel

SCRIPT = Path(__file__).with_name("one_process.py")
OPTIONS: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 8,
    "learning_rate": 3e-3,
    "warmup_steps": 5,
    "autocast": False,
}
GLOO_ABORTED = "terminate called without an active exception"
ROUNDING = 1e-4
"""Between weights, after a few steps whose float32 sums were taken in another order."""
State = dict[str, Tensor]


@pytest.fixture
def inputs(config: ModelConfig, data: LabelledImages, tmp_path: Path) -> Path:
    """Data, config, and the checkpoints that transformer and decoder start from; without what is
    random about a row of the transformer's."""
    folder = tmp_path / "inputs"
    folder.mkdir()
    np.savez(folder / "data.npz", x=data.pixels, y=data.labels)
    transformer = dataclasses.replace(config.transformer, depth=1, class_dropout=0.0)
    config = dataclasses.replace(config, transformer=transformer)
    (folder / "config.json").write_text(config.to_json())
    torch.manual_seed(0)
    model = NFIGModel(config)
    checkpoint.save_tokenizer(config, model.tokenizer, folder / "tokenizer")
    checkpoint.save(model, folder / "model")
    return folder


def order(
    kind: str, name: str = "run", *, plain: bool = False, stop_at: int = 0, **options: Any
) -> dict[str, Any]:
    """`plain`: nothing is random about a row. `stop_at`: when the last process is told to stop."""
    options = {**OPTIONS, **options}
    return {"kind": kind, "name": name, "plain": plain, "stop_at": stop_at, "options": options}


def train(inputs: Path, *orders: dict[str, Any], count: int) -> list[list[State]]:
    """Of each order, of each process, the averaged weights at its end, and its step."""
    (inputs / "orders.json").write_text(json.dumps(orders))
    environments = [{}] if count == 1 else _as_torchrun_sets_them(count)
    children = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(inputs)],
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        )
        for environment in environments
    ]
    try:
        assert [child.wait(timeout=60) for child in children] == [0] * count
    finally:
        for child in children:
            child.kill()
    return [
        [torch.load(inputs / f"result-{number}-{rank}.pt") for rank in range(count)]
        for number in range(len(orders))
    ]


def _as_torchrun_sets_them(count: int) -> list[dict[str, str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    if sys.platform == "linux":
        # Else gloo listens where the host's name leads to.
        common["GLOO_SOCKET_IFNAME"] = "lo"
    return [{**common, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


def distance(one: State, other: State) -> float:
    """The largest difference between two weights."""
    return max(float((value - other[name]).abs().max()) for name, value in one.items())


@pytest.mark.parametrize(
    ("kind", "epochs"), [("tokenizer", 24), ("transformer", 12), ("decoder", 3)]
)
def test_two_processes_hold_the_same_weights(kind: str, epochs: int, inputs: Path) -> None:
    ((first, second),) = train(inputs, order(kind, epochs=epochs), count=2)
    assert first["step"] == 2 * epochs
    # The adversary's are among them.
    assert any(name.startswith("discriminator.") for name in first) == (kind == "decoder")
    assert distance(first, second) == 0
    written = {path.name for path in (inputs / "run").iterdir()}
    assert {"run.json", "state.pt", "metrics.jsonl", "pictures"} <= written


@pytest.mark.parametrize("kind", ["tokenizer", "transformer"])
def test_two_halves_of_a_batch_teach_what_the_whole_teaches(kind: str, inputs: Path) -> None:
    ((alone,),) = train(inputs, order(kind, "alone", plain=True), count=1)
    halves, quarters = train(
        inputs,
        order(kind, "halves", plain=True),
        order(kind, "quarters", plain=True, batch_size=4, accumulate=2),
        count=2,
    )
    for parts in (halves[0], quarters[0]):
        assert parts["step"] == alone["step"] == 6
        assert distance(parts, alone) < ROUNDING


def test_all_stop_after_the_same_step_and_go_on_as_if_they_had_not(inputs: Path) -> None:
    whole, stopped, resumed = train(
        inputs,
        order("tokenizer", "whole"),
        order("tokenizer", "stopped", stop_at=3),
        order("tokenizer", "stopped"),
        count=2,
    )
    assert [int(each["step"]) for each in stopped] == [3, 3]
    assert distance(resumed[0], resumed[1]) == 0
    assert distance(resumed[0], whole[0]) == 0


def test_all_end_at_the_same_step_by_the_clock(inputs: Path) -> None:
    ((first, second),) = train(inputs, order("transformer", epochs=None, minutes=0.02), count=2)
    assert first["step"] == second["step"] > 0
    assert distance(first, second) == 0


def test_torchrun_starts_the_command(inputs: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 64, 64, 3), np.uint8)
    np.savez(inputs / "data.npz", x=pixels, y=np.arange(32) % 16)
    common, *_ = _as_torchrun_sets_them(2)
    port = ("--master-addr", common.pop("MASTER_ADDR"), "--master-port", common["MASTER_PORT"])
    command = [
        *(
            sys.executable,
            "-m",
            "torch.distributed.run",
            *port,
            "--nproc-per-node",
            "2",
            "-m",
            "--",
        ),
        *("nfig", "train", "tokenizer", "--data", "data.npz", "--run", "a", "--out", "out"),
        *("--batch-size", "4", "--epochs", "0.5"),
    ]
    ended = subprocess.run(
        command,
        cwd=inputs,
        env={**os.environ, **common, "NFIG_RUNS": str(inputs), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    if GLOO_ABORTED in ended.stderr:
        pytest.skip("gloo's threads aborted an interpreter that ended; all was written by then")
    assert ended.returncode == 0, ended.stderr
    digest = checkpoint.digest(inputs / "out")
    assert ended.stdout.count(f"out: digest {digest}") == 1
    assert ended.stdout.count("digest") == ended.stdout.count("held out") == 1
