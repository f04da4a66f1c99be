"""Importing a module does nothing: no output, no threads, no files, nothing heavy by accident."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

IMPORT_ALL = """
import importlib, json, pathlib, sys, threading
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
report = {
    "threads": [thread.name for thread in threading.enumerate()],
    "modules": sorted({name.split(".")[0] for name in sys.modules}),
}
pathlib.Path(sys.argv[2]).write_text(json.dumps(report))
"""
FOR_OTHERS = {"torch", "nfig", "numpy", "tritonclient", "onnxruntime"}
"""What a gateway must run without: its image has no torch, and its start is quick."""


def module_names(root: Path, sources: list[Path], package: str) -> list[str]:
    folder = root.joinpath(*package.split("."))
    names = []
    for path in sources:
        if path.is_relative_to(folder) and path.name != "__main__.py":
            parts = path.relative_to(root).with_suffix("").parts
            names.append(".".join(part for part in parts if part != "__init__"))
    assert names
    return names


def imported(root: Path, names: list[str], tmp_path: Path) -> dict[str, list[str]]:
    """Imports the modules in a process of their own, in an empty folder; what was there after."""
    report, work = tmp_path / "report.json", tmp_path / "work"
    work.mkdir()
    command = [sys.executable, "-W", "error", "-c", IMPORT_ALL, json.dumps(names), str(report)]
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(
        command, cwd=work, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout + ended.stderr == ""
    assert list(work.iterdir()) == []
    result: dict[str, list[str]] = json.loads(report.read_text())
    return result


@pytest.mark.parametrize("package", ["nfig", "nfig_client", "nfig_proto", "service"])
def test_importing_every_module_does_nothing(
    package: str, root: Path, sources: list[Path], tmp_path: Path
) -> None:
    after = imported(root, module_names(root, sources, package), tmp_path)
    assert after["threads"] == ["MainThread"]


def test_the_gateway_runs_without_what_is_the_workers(
    root: Path, sources: list[Path], tmp_path: Path
) -> None:
    names = module_names(root, sources, "service.gateway")
    after = imported(root, names, tmp_path)
    assert not FOR_OTHERS & set(after["modules"])


def test_the_stubs_need_nothing_of_ours(root: Path, sources: list[Path], tmp_path: Path) -> None:
    after = imported(root, module_names(root, sources, "nfig_proto"), tmp_path)
    assert not {"service", *FOR_OTHERS} & set(after["modules"])


@pytest.mark.parametrize("name", ["service.domain", "service.errors"])
def test_the_vocabulary_loads_no_framework(name: str, root: Path, tmp_path: Path) -> None:
    after = imported(root, [name], tmp_path)
    assert not {"fastapi", "pydantic", "redis", "grpc", *FOR_OTHERS} & set(after["modules"])
