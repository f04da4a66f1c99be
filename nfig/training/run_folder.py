"""Where a training keeps its state, metrics and pictures, outside any work tree.

`$NFIG_RUNS/<name>/`: `run.json` (what is trained on what), `state.pt` (to resume), `metrics.jsonl`
and `pictures/`.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import torch

RUNS_VARIABLE = "NFIG_RUNS"
DEFAULT_RUNS = Path("~/.cache/nfig/runs")


class RunFolder:
    """One training's folder. Raises ValueError if the name is not a plain one."""

    def __init__(self, name: str, *, root: Path | None = None) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
            raise ValueError(f"run must be letters, digits, dots and dashes: {name!r}")
        self.path = (root or runs_root()) / name

    def begin(self, facts: dict[str, Any]) -> None:
        """Makes the folder, or goes on with it if it was made with the same facts.

        Raises ValueError if the run is another training.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        file = self.path / "run.json"
        text = json.dumps(facts, indent=2) + "\n"
        if file.exists():
            if different := _differences(self.facts(), json.loads(text)):
                raise ValueError(
                    f"run {self.path.name!r} exists with other {', '.join(different)}: "
                    f"choose another name or remove {self.path}"
                )
            return
        _write(file, text.encode())

    def facts(self) -> dict[str, Any]:
        """What the run was begun with. Raises ValueError if there is no such run."""
        try:
            facts: dict[str, Any] = json.loads((self.path / "run.json").read_text("utf-8"))
        except FileNotFoundError:
            raise ValueError(f"run: there is no run in {self.path}") from None
        return facts

    def log(self, record: dict[str, Any]) -> None:
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def records(self) -> list[dict[str, Any]]:
        file = self.path / "metrics.jsonl"
        if not file.exists():
            return []
        return [json.loads(line) for line in file.read_text("utf-8").splitlines()]

    def save_state(self, state: dict[str, Any]) -> None:
        partial = self.path / ".state.pt.partial"
        torch.save(state, partial)
        os.replace(partial, self.path / "state.pt")

    def load_state(self) -> dict[str, Any] | None:
        """The state saved last, None if there is none yet."""
        file = self.path / "state.pt"
        if not file.exists():
            return None
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        return state

    def picture(self, step: int) -> Path:
        return self.path / "pictures" / f"step-{step:06d}.png"


def runs_root() -> Path:
    return Path(os.environ.get(RUNS_VARIABLE) or DEFAULT_RUNS).expanduser()


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))


def _write(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data)
    os.replace(partial, path)
