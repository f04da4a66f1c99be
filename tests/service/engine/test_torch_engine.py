"""How the engine in process shares the machine out."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest
import torch

from service.engine.torch_engine import LANES, TorchEngine


async def threads_told(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of each lane of an engine that was started."""
    told: dict[str, int] = {}

    def note(threads: int) -> None:
        told[threading.current_thread().name] = threads

    monkeypatch.setattr(torch, "set_num_threads", note)
    engine = TorchEngine(checkpoint)
    await engine.start()
    await engine.close()
    return [threads for name, threads in told.items() if name.startswith("nfig-lane")]


async def test_each_lane_has_its_share_of_the_cores(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(3 * LANES)))
    assert await threads_told(tiny_checkpoint, monkeypatch) == [3] * LANES


async def test_a_machine_of_one_core_has_one_lane(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert await threads_told(tiny_checkpoint, monkeypatch) == [1]


async def test_it_draws_where_no_affinity_is_known(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert await threads_told(tiny_checkpoint, monkeypatch) == [8 // LANES] * LANES
