"""docs/security.md: every threat is tied to tests, and these exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "security.md").read_text(encoding="utf-8")


def test_every_threat_names_a_test(page: str) -> None:
    rows = [line for line in page.splitlines() if line.startswith("| ") and "---" not in line][1:]
    assert len(rows) > 10
    assert not [row for row in rows if not TEST.search(row.split("|")[3])]


def test_every_test_that_the_page_names_exists(page: str, root: Path) -> None:
    named = TEST.findall(page)
    assert named
    for path, name in named:
        assert (root / path).is_file(), path
        tree = ast.parse((root / path).read_text(encoding="utf-8"))
        functions = {getattr(node, "name", None) for node in ast.walk(tree)}
        assert not name or name in functions, f"{path} has no {name}"


def test_nothing_that_is_loaded_may_run(root: Path, sources: list[Path]) -> None:
    """Neither a pickle nor a `torch.load` that may build anything but tensors."""
    calls = [
        ast.unparse(node)
        for path in sources
        if not path.is_relative_to(root / "tests")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]
    loads = [call for call in calls if call.startswith("torch.load(")]
    assert loads
    assert not [call for call in loads if "weights_only=True" not in call]
    unsafe = re.compile(r"pickle\.loads?\(|np\.load\(.*allow_pickle=True|yaml\.(unsafe_)?load\(")
    assert not [call for call in calls if unsafe.match(call)]
