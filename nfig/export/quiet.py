"""When nobody asks a model for anything: the only time in which measuring it is worth something."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

QUIET_SECONDS = 0.3
"""For how long nobody has to have asked for anything."""


class NeverQuiet(Exception):
    """The model is closed: there will be no quiet time any more."""


class Quiet:
    """Told by those who draw, asked by one thread that measures."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at_work = 0
        self._last_work = -QUIET_SECONDS
        self._num_works = 0
        self._waited_at = 0
        self._closed = threading.Event()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Around whatever the model is asked for."""
        with self._lock:
            self._at_work += 1
            self._num_works += 1
        try:
            yield
        finally:
            with self._lock:
                self._at_work -= 1
                self._last_work = time.monotonic()

    def wait(self) -> None:
        """Returns once it is quiet. Raises NeverQuiet."""
        while not self._is_quiet():
            if self._closed.wait(QUIET_SECONDS / 3):
                raise NeverQuiet
        self._waited_at = self._num_works

    def disturbed(self) -> bool:
        """Whether somebody has asked for something since the last `wait`. Raises NeverQuiet."""
        if self._closed.is_set():
            raise NeverQuiet
        return self._num_works != self._waited_at

    def closed_within(self, seconds: float) -> bool:
        """Waits for as long, unless the model is closed."""
        return self._closed.wait(seconds)

    def close(self) -> None:
        """Whoever waits is told, and so is whoever asks."""
        self._closed.set()

    def _is_quiet(self) -> bool:
        with self._lock:
            return not self._at_work and time.monotonic() - self._last_work > QUIET_SECONDS
