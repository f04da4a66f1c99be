"""House style that a machine can check: sizes of files and functions, names that say nothing."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

FILE_LINES = 400
FUNCTION_LINES = 60
MODEL_LINES = 120
EMPTY_NAMES = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py"}


@pytest.fixture(scope="module")
def sources(sources: list[Path]) -> list[Path]:
    """What a person wrote."""
    return [path for path in sources if not path.stem.endswith(("_pb2", "_pb2_grpc"))]


def test_no_file_is_longer_than_the_cap(sources: list[Path]) -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources}
    assert not {path: length for path, length in lengths.items() if length > FILE_LINES}


def test_what_triton_loads_stays_thin(sources: list[Path], root: Path) -> None:
    models = [path for path in sources if path.is_relative_to(root / "model_repository")]
    assert models
    for path in models:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= MODEL_LINES, path


def test_no_function_is_longer_than_the_cap(sources: list[Path]) -> None:
    long = []
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES:
                    long.append(f"{path}:{node.lineno} {node.name} has {length} lines")
    assert not long


def test_no_file_is_named_for_nothing(files: list[Path]) -> None:
    assert not [path for path in files if path.name in EMPTY_NAMES]


def test_every_module_says_what_it_is_for(sources: list[Path], root: Path) -> None:
    names = ("nfig", "nfig_client", "nfig_proto", "service", "model_repository")
    packages = [root / name for name in names]
    silent = [
        path
        for path in sources
        if any(path.is_relative_to(package) for package in packages)
        and (tree := ast.parse(path.read_text(encoding="utf-8"))).body
        and ast.get_docstring(tree) is None
    ]
    assert not silent
