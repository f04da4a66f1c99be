"""The lock: exact versions that any index can serve, and that fit the ranges."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OURS = "nfig-proto"
"""A distribution of this repository, which no index has."""
PIN = re.compile(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.]+(; .+)?")


def pins(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-triton.lock"])
def test_every_line_is_a_name_and_a_version(name: str, root: Path) -> None:
    found = pins(root / name)
    assert found
    assert not [line for line in found if not PIN.fullmatch(line)]


def test_no_variant_of_torch_is_pinned(root: Path) -> None:
    found = pins(root / "requirements.lock")
    assert "torch==2.13.0" in found
    assert not [line for line in found if line.startswith(("nvidia-", "cuda-", "triton="))]


def test_every_range_of_the_project_is_met(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    stubs = tomllib.loads((root / "nfig_proto" / "pyproject.toml").read_text(encoding="utf-8"))
    texts = sum(extras, project["dependencies"] + stubs["project"]["dependencies"])
    wanted = [Requirement(text) for text in texts if text != OURS]
    locked = {
        canonicalize_name(pin.name): next(iter(pin.specifier)).version
        for pin in map(Requirement, pins(root / "requirements.lock"))
    }
    unmet = [
        str(each)
        for each in wanted
        if not each.specifier.contains(locked[canonicalize_name(each.name)])
    ]
    assert not unmet
