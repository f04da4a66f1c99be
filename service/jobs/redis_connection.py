"""Connecting to Redis, and what its failures mean to us."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis.asyncio import Redis
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
MAX_CONNECTIONS = 10_000
"""Every watcher of a job waits on one of its own; who is let in is decided at the door."""
_DOWN = (ConnectionError, TimeoutError, BusyLoadingError, OutOfMemoryError, ReadOnlyError, OSError)
_REFUSALS = ("MISCONF", "MASTERDOWN", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN", "BUSY ")
"""How answers begin that mean Redis cannot serve now: no disk, no primary, a stuck script."""


def connect(url: str) -> Redis:
    """A client that fails fast: who calls decides whether to try again."""
    redis: Redis = Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        max_connections=MAX_CONNECTIONS,
        # Once, at once: a connection from the pool may have died while it lay there. Every command
        # of ours may be repeated.
        retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)),
        protocol=2,
    )
    return redis


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


def _away() -> QueueUnavailable:
    return QueueUnavailable("the job queue does not answer", retry_after_s=1.0)
