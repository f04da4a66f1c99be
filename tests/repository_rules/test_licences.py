"""docs/licences.md lists what is installed, built on or pulled: each once, each with a licence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "licences.md").read_text(encoding="utf-8")


def rows(page: str, heading: str) -> list[tuple[str, str]]:
    """First and last cell of each row of the table whose first column has this heading."""
    (table,) = re.findall(rf"^\| {heading} \|.*\n\|[-|]+\n((?:\|.*\n)+)", page, flags=re.MULTILINE)
    found = re.findall(r"^\| `([^`]+)` \|(?:[^|]*\|)*? ([^|]+) \|$", table, flags=re.MULTILINE)
    assert len(found) == len(table.splitlines())
    return found


def test_the_page_lists_what_is_locked(page: str, root: Path) -> None:
    lock = (root / "requirements.lock").read_text(encoding="utf-8")
    locked = re.findall(r"^([A-Za-z0-9_.-]+)==", lock, flags=re.MULTILINE)
    found = rows(page, "package")
    assert [name for name, _ in found] == locked, "run make pages"
    assert not [name for name, licence in found if licence.lower() in {"unknown", "none", ""}]


def test_the_page_lists_what_make_targets_install_for_themselves(page: str, root: Path) -> None:
    files = (root / ".ci").glob("*.txt")
    texts = "\n".join(path.read_text(encoding="utf-8") for path in files)
    pinned = re.findall(r"^([A-Za-z0-9_.-]+)==", texts, flags=re.MULTILINE)
    assert sorted(name for name, _ in rows(page, "tool")) == sorted(pinned)


def test_the_page_lists_the_images_of_others(page: str, root: Path) -> None:
    paths = [root / "Dockerfile", root / "docker-compose.yml"]
    paths += (root / "deploy" / "kubernetes").rglob("*.yaml")
    texts = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    images = re.findall(r"^(?:FROM|\s+image:) ([\w./-]+):\S+(?: AS \w+)?$", texts, re.MULTILINE)
    assert {name for name, _ in rows(page, "image")} == set(images)
