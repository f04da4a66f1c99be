"""The code blocks of README.md and docs/, and what the line above each says about running it.

A block of commands or code is run as it stands by test_commands.py, unless one of these comments
stands above it:

    <!-- not run: the reason why not -->
    <!-- run by: tests/path/of/the_test.py -->
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

ROOT = Path(__file__).parents[2]
SHELLS = ("sh", "bash")
RUNNABLE = (*SHELLS, "python", "js")

_BLOCK = re.compile(
    r"^(?P<open>(?:<!-- (?P<kind>not run|run by): (?P<said>[^>]+?) -->\n\n?)?)"
    r"```(?P<language>\w*)\n(?P<text>.*?)^```$",
    flags=re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block of a page."""

    page: Path
    """Relative to the repository."""
    line: int
    """Where its text begins, from 1."""
    language: str
    text: str
    kind: Literal["not run", "run by"] | None
    said: str
    """The reason, or the path of the test."""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks_of(page: Path) -> list[Block]:
    """All of them, in order, whatever their language."""
    content = page.read_text(encoding="utf-8")
    return [
        Block(
            page=page.relative_to(ROOT),
            line=content.count("\n", 0, match.start("text")) + 1,
            language=match["language"],
            text=match["text"],
            kind=cast(Literal["not run", "run by"] | None, match["kind"]),
            said=match["said"] or "",
        )
        for match in _BLOCK.finditer(content)
    ]


def all_blocks() -> list[Block]:
    return [block for page in pages() for block in blocks_of(page)]


def to_run() -> list[Block]:
    """What test_commands.py has to run."""
    return [each for each in all_blocks() if each.language in RUNNABLE and each.kind is None]
