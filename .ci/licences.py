"""Writes docs/licences.md: what is installed by requirements.lock, and under which licences.

Licences are what each package says of itself, read from this environment. Run by `make pages`.
"""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "licences.md"


def locked_names() -> list[str]:
    """Of requirements.lock, in its order."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    return [line.split("==")[0] for line in lines if line and not line.startswith("#")]


def licence_of(name: str) -> str:
    """The SPDX expression, else the classifiers, else a first line: of the field, of the file.

    Raises PackageNotFoundError where the lock is not installed.
    """
    package = metadata.distribution(name)
    about = package.metadata
    if expression := about.get("License-Expression"):
        return str(expression)
    found = [str(each) for each in about.get_all("Classifier") or []]
    named = [each.split(" :: ")[-1] for each in found if each.startswith("License ::")]
    named = [each for each in named if each != "OSI Approved"]
    if named:
        return "; ".join(named)
    texts = [str(about.get("License") or "")]
    texts += [file.read_text() for file in package.files or [] if "LICENSE" in file.name]
    first = [text.strip().splitlines()[0] for text in texts if text.strip() not in ("", "UNKNOWN")]
    return first[0] if first else "unknown"


def table() -> str:
    rows = [f"| `{name}` | {re.sub(r'[|]', '/', licence_of(name))} |" for name in locked_names()]
    return "\n".join(["| package | licence, as it says itself |", "|---|---|", *rows])


def licences_page() -> str:
    before, _ = PAGE.read_text(encoding="utf-8").split("| package |")
    return f"{before}{table()}\n"


if __name__ == "__main__":
    PAGE.write_text(licences_page(), encoding="utf-8")
