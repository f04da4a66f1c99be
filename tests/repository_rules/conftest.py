"""The files that the rules are about: what git tracks, or would."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def files(root: Path) -> list[Path]:
    """Every file of the project, without what git ignores."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        paths = [root / line for line in listed.stdout.splitlines()]
    else:
        hidden = {".git", ".venv", "out", "runs"}
        paths = [path for path in root.rglob("*") if not hidden & set(path.relative_to(root).parts)]
    return sorted(path for path in paths if path.is_file())


@pytest.fixture(scope="session")
def sources(files: list[Path]) -> list[Path]:
    """Every Python file."""
    found = [path for path in files if path.suffix == ".py"]
    assert found
    return found
