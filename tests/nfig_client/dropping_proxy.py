"""A proxy on 127.0.0.1 that hangs up in the middle of what it passes on."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Self


class DroppingProxy:
    """A context manager. Connection i is cut after `budgets[i]` bytes of answer, later ones never.

    With a budget of 0 the request arrives and its answer is lost.
    """

    def __init__(self, target_port: int, budgets: Iterator[int]) -> None:
        self._target_port = target_port
        self._budgets = budgets
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.num_connections = 0
        self.num_cuts = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Closing alone does not wake who waits in accept.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.num_connections += 1
            budget = next(self._budgets, None)
            try:
                server = socket.create_connection(("127.0.0.1", self._target_port))
            except OSError:
                client.close()
                continue
            threading.Thread(target=_pass_on, args=(client, server)).start()
            threading.Thread(target=self._answer, args=(server, client, budget)).start()

    def _answer(self, server: socket.socket, client: socket.socket, budget: int | None) -> None:
        with server, client, suppress(OSError):
            while chunk := server.recv(65536):
                if budget is not None and len(chunk) > budget:
                    client.sendall(chunk[:budget])
                    self.num_cuts += 1
                    break
                client.sendall(chunk)
                budget = None if budget is None else budget - len(chunk)
            for end in (server, client):
                end.shutdown(socket.SHUT_RDWR)


def _pass_on(client: socket.socket, server: socket.socket) -> None:
    with suppress(OSError):
        while chunk := client.recv(65536):
            server.sendall(chunk)
        server.shutdown(socket.SHUT_WR)
