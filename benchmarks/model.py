"""`python -m benchmarks.model`: every `nfig bench` that docs/speed.md tells of, one after another.

Each is a process of its own, so that none starts with the memory of the one before.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from benchmarks.reports import result_file

EXACT = "nfig-bench-d16-var-d20"
FAST = "nfig-bench-fast-d16-var-d20"
SMALLER_VAR = "nfig-bench-d16-var-d16"
SAME_CODE = "nfig-bench-same-code-d16-var-d20"
BATCHES = "nfig-bench-batches-d16-var-d20"
D16_D20 = ("--model", "nfig-d16", "--against", "var-d20")
RUNS: Mapping[str, Sequence[str]] = {
    EXACT: D16_D20,
    FAST: (*D16_D20, "--profile", "fast"),
    SMALLER_VAR: ("--model", "nfig-d16", "--against", "var-d16"),
    SAME_CODE: (*D16_D20, "--baseline", "same_code"),
    BATCHES: (*D16_D20, "--batch-sizes", "2,4"),
}
"""Options by the name of the result."""


def command(name: str, options: Sequence[str]) -> list[str]:
    """That writes a dated result of this name."""
    file = result_file(name, datetime.now(UTC))
    return [sys.executable, "-m", "nfig", "bench", *options, "--json", str(file)]


def main(
    only: Annotated[str, typer.Option(help="Names of results with commas; else all.")] = "",
) -> None:
    """The model beside VAR: ten minutes and 5 GB."""
    wanted = only.split(",") if only else list(RUNS)
    if unknown := set(wanted) - set(RUNS):
        raise typer.BadParameter(f"only: {', '.join(unknown)}; there are {', '.join(RUNS)}")
    for name in wanted:
        typer.echo(name)
        subprocess.run(command(name, RUNS[name]), check=True)  # noqa: S603 (our own arguments)


if __name__ == "__main__":
    typer.run(main)
