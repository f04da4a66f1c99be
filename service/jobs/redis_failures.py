"""What failures of Redis mean to us."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
)

from service.errors import QueueFull, QueueUnavailable

PATIENCE_SECONDS = 1.0
"""A reader outlives a queue that is away for this long."""
PAUSE_SECONDS = 0.1
_DOWN = (ConnectionError, TimeoutError, BusyLoadingError, OutOfMemoryError, ReadOnlyError, OSError)
_REFUSALS = ("MISCONF", "MASTERDOWN", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN", "BUSY ")
"""How answers begin that mean Redis cannot serve now: no disk, no primary, a stuck script."""


Result = TypeVar("Result")


@contextmanager
def unavailable() -> Iterator[None]:
    """Redis not answering becomes QueueUnavailable."""
    try:
        yield
    except _DOWN as error:
        raise _away() from error
    except ResponseError as error:
        if str(error).startswith(_REFUSALS):
            raise _away() from error
        raise


@contextmanager
def submitting() -> Iterator[None]:
    """As `unavailable`, but memory that is full becomes QueueFull."""
    try:
        with unavailable():
            yield
    except QueueUnavailable as error:
        if isinstance(error.__cause__, OutOfMemoryError):
            raise QueueFull("the queue's memory is full", retry_after_s=1.0) from error
        raise


async def patiently(read: Callable[[], Awaitable[Result]]) -> Result:
    """Repeats the read through a short absence. Raises QueueUnavailable after a longer one."""
    give_up: float | None = None
    while True:
        try:
            with unavailable():
                return await read()
        except QueueUnavailable:
            give_up = give_up or time.monotonic() + PATIENCE_SECONDS
            if time.monotonic() > give_up:
                raise
        await asyncio.sleep(PAUSE_SECONDS)


def _away() -> QueueUnavailable:
    return QueueUnavailable("the job queue does not answer", retry_after_s=1.0)
