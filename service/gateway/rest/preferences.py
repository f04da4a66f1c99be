"""The `Prefer` header (RFC 7240): `wait` and `respond-async`.

As the RFC demands, what is not known or cannot be read is passed over; `Preference-Applied` says
what was heard.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_PREFERENCE = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*(?:"|$))+')
_SECONDS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """What of the header is followed here."""

    wait_seconds: int | None = None
    respond_async: bool = False

    def headers(self) -> dict[str, str]:
        """`Preference-Applied`, if there is anything to say in it."""
        applied = ["respond-async"] if self.respond_async else []
        if self.wait_seconds is not None:
            applied.append(f"wait={self.wait_seconds}")
        return {"preference-applied": ", ".join(applied)} if applied else {}


def read_preferences(headers: Sequence[str], *, max_wait_seconds: float) -> Preferences:
    """The first of each kind counts; a longer wait than the limit becomes the limit."""
    stated: dict[str, str] = {}
    for text in _PREFERENCE.findall(",".join(headers)):
        name, _, value = text.partition(";")[0].partition("=")
        stated.setdefault(name.strip().lower(), value.strip().strip('"'))
    wait = stated.get("wait", "")
    return Preferences(
        wait_seconds=min(int(wait), int(max_wait_seconds)) if _SECONDS.fullmatch(wait) else None,
        respond_async="respond-async" in stated,
    )
