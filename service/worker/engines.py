"""The engine that a worker was told to draw with; only the chosen one is imported."""

from __future__ import annotations

from pathlib import Path

from service.engine.engine import Engine
from service.metrics import Metrics
from service.settings import WorkerSettings


def build_engine(settings: WorkerSettings, metrics: Metrics) -> Engine:
    """Not started yet."""
    match settings.engine:
        case "triton":
            from service.engine.triton_engine import TritonEngine

            return TritonEngine(settings.triton_url, Path(settings.card))
        case "torch":
            from service.engine.torch_engine import TorchEngine

            return TorchEngine(
                Path(settings.checkpoint), metrics=metrics, baseline=settings.baseline
            )
        case "fake":
            from service.engine.fake_engine import FakeEngine

            return FakeEngine()
