"""The processes that draw with the model that ships: a worker of the service, and its Triton."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from unittest.mock import patch

from benchmarks.parts import START_SECONDS, Parts
from service.stack.choice import EngineName
from service.stack.parts import (
    TritonPart,
    WorkerPlan,
    engine_ready,
    export_checkpoint,
    start_triton_part,
    start_worker,
)
from service.stack.processes import HOST, wait_until

ROOT = Path(__file__).parents[1]
CHECKPOINT = ROOT / "checkpoints" / "avatars-64"
ModelEngine = Literal["torch", "triton"]
"""Those that draw with the model itself, and so may be held against it."""


@dataclass(frozen=True, kw_only=True)
class Drawers:
    """Their process ids; 0 where there is none."""

    worker: int
    triton: int


@contextmanager
def drawers(parts: Parts, engine: EngineName) -> Iterator[Drawers]:
    """A worker with its defaults, and for it a Triton if it draws with one. Raises PartFailed."""
    with ExitStack() as stack:
        # What speed is compared with would be measured while nobody draws, that is, in our pauses.
        stack.enter_context(patch.dict(os.environ, {"NFIG_BASELINE": "off"}))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nfig-bench-")))
        repository = folder / "model_repository"
        triton = _triton(repository, folder, stack) if engine == "triton" else None
        plan = WorkerPlan(
            engine=engine,
            checkpoint=CHECKPOINT,
            repository=repository,
            triton_url=None if triton is None else triton.grpc_url,
        )
        worker, _ = start_worker(plan, parts.redis_url, folder)
        stack.callback(worker.stop)
        url = f"http://{HOST}:{parts.gateway.port}"
        wait_until(worker, lambda: engine_ready(url), timeout_seconds=START_SECONDS)
        yield Drawers(worker=worker.process.pid, triton=0 if triton is None else triton.process.pid)


def _triton(repository: Path, folder: Path, stack: ExitStack) -> TritonPart:
    left = shutil.ignore_patterns("*.safetensors", "*.onnx", "*.json", "__pycache__")
    shutil.copytree(ROOT / "model_repository", repository, ignore=left)
    export_checkpoint(CHECKPOINT, repository, folder)
    triton = start_triton_part(repository, folder)
    stack.callback(triton.stop)
    return triton
