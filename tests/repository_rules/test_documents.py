"""What the documents say exists: folders, make targets, links, settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from service.admin.settings_page import OF_OTHERS, settings_page
from service.settings import setting_names

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.fixture(scope="module")
def readme(root: Path) -> str:
    return (root / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def documents(files: list[Path]) -> list[Path]:
    return [path for path in files if path.suffix == ".md"]


def tree_paths(readme: str) -> list[Path]:
    """Paths of the commented tree: a name, its place given by its indent, then a comment."""
    (block,) = re.findall(r"```\n(nfig/ .*?)```", readme, flags=re.DOTALL)
    found: list[Path] = []
    parents: dict[int, Path] = {}
    for line in block.splitlines():
        match = re.fullmatch(r"( *)(\S+) {2,}(\S.*)", line)
        assert match, f"a line of the tree needs a name and a comment: {line!r}"
        depth = len(match[1])
        path = parents.get(depth - 2, Path()) / match[2]
        parents[depth] = path
        found.append(path)
    return found


def test_every_name_of_the_readmes_tree_exists(readme: str, root: Path) -> None:
    paths = tree_paths(readme)
    assert len(paths) > 10
    assert not [path for path in paths if not (root / path).exists()]


def test_every_package_is_in_the_readmes_tree(readme: str, root: Path) -> None:
    roots = {path.parts[0] for path in tree_paths(readme)}
    packages = {path.parent.name for path in root.glob("*/__init__.py")}
    assert packages <= roots


def test_every_make_target_that_a_document_names_exists(documents: list[Path], root: Path) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))
    for path in documents:
        text = path.read_text(encoding="utf-8")
        named = set(re.findall(r"(?:`|^)make ([a-z]+)", text, flags=re.MULTILINE))
        assert named <= targets, path


def test_ci_runs_the_readmes_test_command(readme: str, root: Path) -> None:
    run = (root / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert {"make test", "make check"} <= set(run)
    assert re.search(r"^make test\b", readme, flags=re.MULTILINE)


def test_every_link_between_files_leads_somewhere(documents: list[Path], root: Path) -> None:
    broken = []
    for path in documents:
        for target in LINK.findall(path.read_text(encoding="utf-8")):
            if "://" not in target and not (path.parent / target).exists():
                broken.append(f"{path.relative_to(root)}: {target}")
    assert not broken


def test_the_page_of_settings_is_what_the_code_writes(root: Path) -> None:
    written = (root / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == settings_page(), "run make pages"
    documented = set(re.findall(r"^\| `(NFIG_[A-Z_]+)`", written, flags=re.MULTILINE))
    assert documented == {f"NFIG_{name.upper()}" for name in setting_names()} | set(OF_OTHERS)


def test_every_decision_is_in_the_index(root: Path) -> None:
    folder = root / "docs" / "decisions"
    records = {path.name for path in folder.glob("[0-9]*.md")}
    assert records == set(LINK.findall((folder / "README.md").read_text(encoding="utf-8")))
