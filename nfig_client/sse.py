"""Server-sent events from the bytes of a stream, wherever they are cut."""

from __future__ import annotations

import re
from dataclasses import dataclass

LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, kw_only=True)
class ServerEvent:
    """One event as it was sent."""

    name: str
    data: str
    id: str | None
    """None where it has none of its own."""


class EventParser:
    """Takes one connection's bytes, gives its events. What is cut off at the end is no event."""

    def __init__(self) -> None:
        self.retry_seconds: float | None = None
        """When to reconnect, if the stream has said so."""
        self.comments = 0
        """Seen so far; they say nothing, but that somebody is there."""
        self._rest = b""
        self._ended_in_cr = False
        self._at_start = True
        self._name = ""
        self._data: list[str] = []
        self._id: str | None = None

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """The events that these bytes complete."""
        if not chunk:
            return []
        # The second half of a line end whose first half was enough.
        halved = self._ended_in_cr and chunk.startswith(b"\n")
        self._ended_in_cr = chunk.endswith(b"\r")
        *lines, self._rest = LINE_END.split(self._rest + chunk[halved:])
        found = (self._line(line.decode("utf-8", "replace")) for line in lines)
        return [event for event in found if event is not None]

    def _line(self, line: str) -> ServerEvent | None:
        if self._at_start:
            line = line.removeprefix("\ufeff")
            self._at_start = False
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        self._field(name, value.removeprefix(" "))
        return None

    def _field(self, name: str, value: str) -> None:
        if name == "":
            self.comments += 1
        elif name == "event":
            self._name = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry_seconds = int(value) / 1000

    def _dispatch(self) -> ServerEvent | None:
        name, data, identifier = self._name or "message", self._data, self._id
        self._name, self._data, self._id = "", [], None
        if not data:
            return None
        return ServerEvent(name=name, data="\n".join(data), id=identifier)
