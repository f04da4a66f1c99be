"""`python -m benchmarks.page`: the newest results as tables and plots, for docs/speed.md.

The page's words are written by hand. Each of its parts between `begin` and `end` is replaced by
what the newest results say; a result is the dated file that its command wrote.
"""

from __future__ import annotations

from pathlib import Path

import typer

from benchmarks.line_chart import page
from benchmarks.page_parts import PARTS, Part
from benchmarks.reports import with_part

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "speed.md"
PICTURES = DOCS / "images" / "speed"


def written(text: str, parts: dict[str, Part]) -> str:
    """The page with these parts in their places. Raises ValueError if one has none."""
    for name, part in parts.items():
        picture = f"\n\n![{part.seen}](images/{PICTURES.name}/{name}.svg)" if part.charts else ""
        text = with_part(text, name, part.text + picture)
    return text


def pictures(parts: dict[str, Part]) -> dict[Path, str]:
    """By file, the plots of each part that has some."""
    return {
        PICTURES / f"{name}.svg": page(part.charts) for name, part in parts.items() if part.charts
    }


def main() -> None:
    """Write docs/speed.md and its plots anew."""
    parts = {name: make() for name, make in PARTS.items()}
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), parts), encoding="utf-8")
    PICTURES.mkdir(parents=True, exist_ok=True)
    for file, drawing in pictures(parts).items():
        file.write_text(drawing, encoding="utf-8")
    typer.echo(f"{len(parts)} parts of {PAGE}")


if __name__ == "__main__":
    typer.run(main)
