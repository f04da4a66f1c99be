"""As little HTTP as a measurement needs: the time of a client library would be ours otherwise."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any, Self

from service.stack.processes import HOST


@dataclass(frozen=True, kw_only=True)
class HttpAnswer:
    status: int
    headers: dict[str, str]
    """By names in small letters."""
    body: bytes


class KeptConnection:
    """One request after another over one connection, with JSON both ways."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection(HOST, port))

    async def post(self, path: str, body: object) -> HttpAnswer:
        """Raises RuntimeError unless the request was a success."""
        answer = await self.exchange(path, body)
        if answer.status // 100 != 2:
            raise RuntimeError(f"{answer.status}: {answer.body[:500].decode(errors='replace')}")
        return answer

    async def exchange(self, path: str, body: object) -> HttpAnswer:
        content = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(content)}\r\n\r\n"
        )
        self._writer.write(head.encode() + content)
        status, headers = _read_head(await self._reader.readuntil(b"\r\n\r\n"))
        received = await self._reader.readexactly(int(headers["content-length"]))
        return HttpAnswer(status=int(status.split()[1]), headers=headers, body=received)

    async def post_json(self, path: str, body: object) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads((await self.post(path, body)).body)
        return answer

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


@dataclass(frozen=True, kw_only=True)
class TimedEvent:
    """One server-sent event as it arrived."""

    at: float
    """On the clock of `time.perf_counter`."""
    text: str
    """As it was sent, with the empty line at its end."""

    @property
    def name(self) -> str:
        return self._field("event")

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self._field("data"))
        return data

    def _field(self, name: str) -> str:
        start = f"{name}: "
        lines = self.text.split("\n")
        return next((line.removeprefix(start) for line in lines if line.startswith(start)), "")


@dataclass
class Watcher(asyncio.Protocol):
    """Reads one stream of events; only notes what came when, and is read after the end."""

    path: str
    ended: asyncio.Future[None]
    began: asyncio.Future[None]
    """Done with the first bytes."""
    pieces: list[tuple[float, bytes]] = field(default_factory=list)

    @classmethod
    async def open(cls, port: int, path: str) -> Watcher:
        loop = asyncio.get_running_loop()
        watcher = cls(path, loop.create_future(), loop.create_future())
        await loop.create_connection(lambda: watcher, HOST, port)
        return watcher

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        head = f"GET {self.path} HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n"
        transport.write(head.encode())

    def data_received(self, data: bytes) -> None:
        self.pieces.append((time.perf_counter(), data))
        if not self.began.done():
            self.began.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        for future in (self.began, self.ended):
            if not future.done():
                future.set_result(None)

    @property
    def headers(self) -> dict[str, str]:
        """Of the answer, by names in small letters."""
        whole = b"".join(data for _, data in self.pieces)
        return _read_head(whole.partition(b"\r\n\r\n")[0])[1]

    def bands(self) -> list[tuple[int, float]]:
        """Bands in the order in which they came, and when, on the clock of `time.perf_counter`."""
        came = [event for event in self.events() if event.name == "band.completed"]
        return [(event.data["band"], event.at) for event in came]

    def events(self) -> list[TimedEvent]:
        """Raises RuntimeError unless the answer is a whole stream."""
        whole = b"".join(data for _, data in self.pieces)
        head, _, body = whole.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(whole[:500].decode(errors="replace"))
        found: list[TimedEvent] = []
        offset, skipped = 0, len(head) + 4
        arrivals = iter(self.pieces)
        at, received = 0.0, 0
        while True:
            size_line, _, _ = body[offset : offset + 20].partition(b"\r\n")
            size = int(size_line or b"-1", 16)
            if size < 0:
                raise RuntimeError(f"the stream at {self.path} broke off")
            if size == 0:
                return found
            start = offset + len(size_line) + 2
            offset = start + size + 2
            while received < skipped + start + size:
                at, data = next(arrivals)
                received += len(data)
            found.append(TimedEvent(at=at, text=body[start : start + size].decode()))


def _read_head(head: bytes) -> tuple[str, dict[str, str]]:
    """The status line of an answer and its headers, by names in small letters."""
    status, *lines = head.decode("latin-1").strip().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return status, {name.lower(): value.strip() for name, _, value in pairs}
