"""docs/licences.md lists the packages of the lock: each once, each with a licence."""

from __future__ import annotations

import re
from pathlib import Path


def test_the_page_lists_what_is_locked(root: Path) -> None:
    page = (root / "docs" / "licences.md").read_text(encoding="utf-8")
    _, table = page.split("| package | licence, as it says itself |\n|---|---|\n")
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \|$", table, flags=re.MULTILINE)
    lock = (root / "requirements.lock").read_text(encoding="utf-8")
    locked = re.findall(r"^([A-Za-z0-9_.-]+)==", lock, flags=re.MULTILINE)
    assert [name for name, _ in rows] == locked, "run make pages"
    assert not [name for name, licence in rows if licence.lower() in {"unknown", "none", ""}]
