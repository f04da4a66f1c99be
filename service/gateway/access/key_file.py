"""The keys file as a running gateway sees it: read anew when it changes, or on SIGHUP."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from service.gateway.access.keys import KeyTable, read_keys

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""A change of the file is seen by the first request after this long."""
_Stamp = tuple[int, int, int] | None


class KeyFile:
    """Keeps to what it last understood: a mistake in the file locks nobody out."""

    def __init__(self, path: Path) -> None:
        """Raises ValueError if the file cannot be read or understood."""
        self._path = path
        self._stamp = self._look()
        self._looked = time.monotonic()
        self._table = self._read()

    def table(self) -> KeyTable:
        """The newest that could be understood."""
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            stamp = self._look()
            if stamp != self._stamp:
                self._stamp = stamp
                self.reload()
        return self._table

    def reload(self) -> None:
        """Reads the file now. What is wrong with it is logged."""
        try:
            self._table = self._read()
        except ValueError as error:
            logger.error("the API keys stay as they were: %s", error)
        else:
            logger.info("%d API keys were read from %s", len(self._table), self._path)

    def _read(self) -> KeyTable:
        try:
            return read_keys(self._path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(f"{self._path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"{self._path} is not UTF-8") from None
        except ValueError as error:
            raise ValueError(f"{self._path}: {error}") from None

    def _look(self) -> _Stamp:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino
