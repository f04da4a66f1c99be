"""A deviation from the paper is marked at its line and listed in the document, or it is neither."""

from __future__ import annotations

import re
from pathlib import Path

MARK = re.compile(r"(?:#|^\s*|\"\"\") ?Paper: ", flags=re.MULTILINE)


def test_marked_files_and_listed_files_are_the_same(root: Path, sources: list[Path]) -> None:
    page = root / "docs" / "model.md"
    _, table = page.read_text(encoding="utf-8").split("## Where we deviate from the paper")
    listed = {(page.parent / target).resolve() for target in re.findall(r"\]\((\S+)\) \|\n", table)}
    marked = {
        path
        for path in sources
        if path.is_relative_to(root / "nfig") and MARK.search(path.read_text(encoding="utf-8"))
    }
    assert listed == marked
