"""The file that `NFIG_SETTINGS_FILE` names: one level of TOML, a key per setting."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Any

VARIABLE = "NFIG_SETTINGS_FILE"


def read_file(path: str, known: Collection[str]) -> dict[str, Any]:
    """The file's values by setting. Raises ValueError that names the file and what is wrong."""
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{VARIABLE}: {path} cannot be read: {error.strerror}") from None
    except ValueError as error:  # not TOML, or not UTF-8
        raise ValueError(f"{VARIABLE}: {path} is not TOML: {error}") from None
    if unknown := sorted(set(values) - set(known)):
        lines = (f"{name} in {path}: {unknown_name(name, known)}" for name in unknown)
        raise ValueError("\n".join(lines))
    if "settings_file" in values:
        raise ValueError(f"settings_file in {path}: only the environment can name the file")
    return values


def unknown_name(name: str, known: Collection[str]) -> str:
    """What to say of it."""
    likely = get_close_matches(name, known, n=1)
    return "no such setting" + (f"; is it {likely[0]}?" if likely else "")
