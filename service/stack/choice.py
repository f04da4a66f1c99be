"""Which engine the stack runs: the one asked for, or the best that this machine can."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from service.stack.triton_server import triton_available

EngineName = Literal["triton", "torch", "fake"]


@dataclass(frozen=True, kw_only=True)
class EngineChoice:
    """The engine to run, and what a person should know about the choice."""

    engine: EngineName
    note: str | None = None


def choose_engine(wanted: EngineName | None) -> EngineChoice:
    """Triton where it can run, else the in-process engine.

    Raises ValueError if Triton was asked for by name and cannot run.
    """
    if wanted in ("torch", "fake"):
        return EngineChoice(engine=wanted)
    reason = triton_available()
    if reason is None:
        return EngineChoice(engine="triton")
    if wanted == "triton":
        raise ValueError(f"--engine triton: Triton cannot run here: {reason}")
    note = f"Triton cannot run here ({reason}): the in-process engine draws instead."
    return EngineChoice(engine="torch", note=note)
