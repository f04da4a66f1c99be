"""The settings themselves: do they fit, and does anybody read them?"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path

from pydantic import SecretStr

from service.admin.checks.findings import Finding, Part
from service.admin.settings_page import OF_OTHERS
from service.settings import (
    PREFIX,
    QueueSettings,
    SettingsKind,
    load_settings,
    setting_names,
)
from service.settings_file import unknown_name

PART = Part("settings")


def check_settings(kind: type[SettingsKind]) -> tuple[SettingsKind | None, list[Finding]]:
    """The settings, if they can be read, and what was found."""
    try:
        settings = load_settings(kind)
    except ValueError as error:
        return None, [PART.failure(line) for line in str(error).splitlines()]
    process = kind.__name__.removesuffix("Settings").lower()
    return settings, [PART.passed(f"every setting of the {process} fits")]


def check_sources(settings: QueueSettings) -> Iterator[Finding]:
    """Where they come from: names that nobody reads, and a file of secrets that others can read."""
    known = {f"{PREFIX}{name.upper()}" for name in setting_names()} | set(OF_OTHERS)
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            yield PART.warning(f"{name}: {unknown_name(name, known)}")
    if settings.settings_file is None:
        return
    path = Path(settings.settings_file)
    named = tomllib.loads(path.read_text(encoding="utf-8"))
    secrets = sorted(
        name
        for name in named
        if isinstance(getattr(settings, name, None), SecretStr) or name == "redis_url"
    )
    if secrets and path.stat().st_mode & stat.S_IROTH:
        text = f"{path} has {', '.join(secrets)} and every user of this machine can read it"
        yield PART.warning(f"NFIG_SETTINGS_FILE: {text}")
    else:
        yield PART.passed(f"{len(named)} of them come from {path}")
