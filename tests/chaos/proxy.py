"""A TCP proxy that makes a good connection bad: slow, late, cut, or silent."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from service.stack.processes import HOST

PIECE = 16_384


class Proxy:
    """Stands before one server. What it does to connections may be changed at any moment."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        """Where new connections go."""
        self._server: asyncio.Server | None = None
        self._pumps: set[asyncio.Task[None]] = set()
        self.delay_seconds = 0.0
        """Before each piece, in each direction."""
        self.bytes_per_second: float | None = None
        self.refuses = False
        """New connections are closed at once."""

    async def start(self) -> int:
        """The port to connect to."""
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def cut(self) -> None:
        """Ends every connection that is open now."""
        for pump in self._pumps:
            pump.cancel()

    def heal(self) -> None:
        self.delay_seconds, self.bytes_per_second, self.refuses = 0.0, None, False

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._join(reader, writer))
        self._pumps.add(task)
        task.add_done_callback(self._pumps.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            if self.refuses:
                return
            answers, requests = await asyncio.open_connection(HOST, self.target_port)
            writers.append(requests)
            pumps = [self._pump(reader, requests), self._pump(answers, writer)]
            tasks = [asyncio.create_task(pump) for pump in pumps]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        except OSError:
            pass
        finally:
            for each in writers:
                # Not half-closed: who is cut off is to notice at once.
                each.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(PIECE):
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                if self.bytes_per_second:
                    await asyncio.sleep(len(piece) / self.bytes_per_second)
                writer.write(piece)
                await writer.drain()
