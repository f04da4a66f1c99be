"""Connecting to Redis, and what its failures mean to us."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import hiredis
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
)

from service.errors import QueueFull, QueueUnavailable

CONNECT_SECONDS = 0.5
ANSWER_SECONDS = 1.0
PATIENCE_SECONDS = 1.0
"""A reader outlives a queue that is away for this long."""
PAUSE_SECONDS = 0.1
MAX_CONNECTIONS = 32
"""Of one process, however many callers it has: commands are short and wait for each other. Only a
worker that waits for a job and the reader of logs hold one for longer."""
_DOWN = (ConnectionError, TimeoutError, BusyLoadingError, OutOfMemoryError, ReadOnlyError, OSError)
_REFUSALS = ("MISCONF", "MASTERDOWN", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN", "BUSY ")
"""How answers begin that mean Redis cannot serve now: no disk, no primary, a stuck script."""


Result = TypeVar("Result")


def connect(url: str) -> Redis:
    """A client that fails fast: who calls decides whether to try again."""
    pool = BlockingConnectionPool.from_url(
        url,
        timeout=ANSWER_SECONDS,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        max_connections=MAX_CONNECTIONS,
        # Once, at once: a connection from the pool may have died while it lay there. Every command
        # of ours may be repeated.
        retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)),
        protocol=2,
    )
    # One that speaks TCP, TLS or over a Unix socket, as the URL says.
    pool.connection_class = type("Connection", (_PacksInC, pool.connection_class), {})
    return Redis.from_pool(pool)


class _PacksInC:
    """Mixed into a connection. An asynchronous one packs commands in Python otherwise, and there
    lies most of what one costs that names many keys."""

    def pack_command(self, name: str, *words: Any) -> list[bytes]:
        # Some commands are two words: SCRIPT LOAD.
        return [hiredis.pack_command((*name.split(), *words))]


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
