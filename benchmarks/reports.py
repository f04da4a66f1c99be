"""What a benchmark says: a table to read, and a dated JSON file to keep."""

from __future__ import annotations

import json
import math
import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("fastapi", "uvicorn", "redis", "pydantic")


@dataclass(frozen=True, kw_only=True)
class Report:
    """One run of one benchmark."""

    name: str
    parameters: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    """Figures under their names, units included; the same names in every row."""
    verdict: str = ""
    """What was demanded of the figures, and whether they meet it."""

    def publish(self, folder: Path = RESULTS) -> Path:
        """Prints the table; returns the file that was written."""
        table = Table(title=self.name)
        for column in self.rows[0]:
            table.add_column(column, justify="right")
        for row in self.rows:
            table.add_row(*(_shown(value) for value in row.values()))
        console = Console()
        console.print(table)
        if self.verdict:
            console.print(self.verdict)
        now = datetime.now(UTC)
        path = result_file(self.name, now, folder)
        folder.mkdir(parents=True, exist_ok=True)
        content = {"date": f"{now:%Y-%m-%dT%H:%M:%SZ}", "machine": _machine(), **asdict(self)}
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        console.print(str(path), highlight=False)
        return path


def result_file(name: str, date: datetime, folder: Path = RESULTS) -> Path:
    """Where the result of that name and date is kept."""
    return folder / f"{date:%Y-%m-%d-%H%M%S}-{name}.json"


def newest_result(name: str, folder: Path = RESULTS) -> dict[str, Any]:
    """The file that a benchmark wrote last. Raises FileNotFoundError."""
    # 2026-11-24-230146-gateway-cost.json: the date is 17 characters, the name is all the rest.
    found = [path for path in sorted(folder.glob("[0-9]*.json")) if path.stem[18:] == name]
    if not found:
        raise FileNotFoundError(f"no result of {name} in {folder}")
    result: dict[str, Any] = json.loads(found[-1].read_text(encoding="utf-8"))
    return result


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The first column to the left, the others, which are figures, to the right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def with_part(page: str, name: str, content: str) -> str:
    """The page with this content between `<!-- begin: name -->` and the next `<!-- end -->`.

    Raises ValueError if it has no such place, or several.
    """
    pattern = rf"(<!-- begin: {re.escape(name)} -->\n).*?(<!-- end -->)"
    places = list(re.finditer(pattern, page, re.DOTALL))
    if len(places) != 1:
        raise ValueError(f"the page has {len(places)} places for {name}")
    (place,) = places
    return f"{page[: place.end(1)]}\n{content}\n\n{page[place.start(2) :]}"


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def milliseconds(seconds: float) -> float:
    return round(seconds * 1e3, 3)


def microseconds(seconds: float) -> float:
    return round(seconds * 1e6, 1)


def _machine() -> dict[str, Any]:
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
    }


def _shown(value: object) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
