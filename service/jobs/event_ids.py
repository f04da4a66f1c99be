"""Ids of events, as watchers send them back to us."""

from __future__ import annotations

from service.errors import InvalidRequest


def parse_event_id(text: str) -> tuple[int, int]:
    """`milliseconds-sequence`, or the first part alone. Raises InvalidRequest."""
    first, dash, second = text.partition("-")
    parts = [first, second] if dash else [first, "0"]
    if not all(part.isascii() and part.isdigit() and len(part) <= 20 for part in parts):
        raise _bad()
    milliseconds, sequence = map(int, parts)
    if max(milliseconds, sequence) >= 2**64:
        raise _bad()
    return milliseconds, sequence


def _bad() -> InvalidRequest:
    return InvalidRequest("after must be the id of an event of the job", field="after")
