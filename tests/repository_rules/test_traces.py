"""Nothing of the machine that a file was written on: no paths of its own, no mirrors."""

from __future__ import annotations

import re
from pathlib import Path

TEXT = {".py", ".md", ".toml", ".lock", ".json", ".jsonl", ".pbtxt", ".lua", ".html", ".yml", ""}
TRACES = re.compile(
    r"(?<![\w.])/(?:home|Users|root|work|opt|mnt)/\w|--(?:extra-)?index-url|--find-links|"
    r"pythonhosted\.org|pypi\.org/simple|file://"
)


def test_no_file_carries_traces_of_a_machine(files: list[Path], root: Path) -> None:
    found = []
    for path in files:
        if path.suffix not in TEXT or path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if match := TRACES.search(line):
                found.append(f"{path.relative_to(root)}:{number} {match[0]}")
    assert not found
