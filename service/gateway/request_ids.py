"""Request ids: the caller's own where it keeps logs clean, else a new one."""

from __future__ import annotations

import re
import uuid

_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
"""What a caller's own id may look like; anything else is replaced."""


def given_or_new(given: str) -> str:
    return given if _ACCEPTED_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"
