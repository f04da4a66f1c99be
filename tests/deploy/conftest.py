"""What lies outside the packages."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

CI = Path(__file__).parents[2] / ".ci"


@pytest.fixture
def sbom(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`.ci/sbom.py`, which knows what an image installs."""
    monkeypatch.syspath_prepend(CI)
    return importlib.import_module("sbom")
