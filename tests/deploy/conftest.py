"""What lies outside the packages."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

CI = Path(__file__).parents[2] / ".ci"


@pytest.fixture
def ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """The modules of `.ci` can be imported."""
    monkeypatch.syspath_prepend(CI)


@pytest.fixture
def sbom(ci: None) -> ModuleType:
    """`.ci/sbom.py`, which knows what an image installs."""
    return importlib.import_module("sbom")
