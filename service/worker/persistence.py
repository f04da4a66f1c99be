"""Writes that outlast a queue that is away for a while, and work that outlasts such an engine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from service.errors import EngineUnavailable, QueueUnavailable

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.5
RETRY_PAUSES_SECONDS = (0.25, 0.5, 1.0, 2.0)
"""Between tries of an engine that fails."""
Result = TypeVar("Result")


async def persistently(write: Callable[[], Awaitable[Result]]) -> Result:
    """Repeats the write until the queue answers.

    Safe because every write names its lease, and one that was carried out although its answer was
    lost is recognised as a repetition.
    """
    while True:
        try:
            return await write()
        except QueueUnavailable as error:
            logger.warning("%s; trying again", error.message)
            await asyncio.sleep(PAUSE_SECONDS)


async def with_retries(work: Callable[[], Awaitable[Result]]) -> Result:
    """Repeats what an engine is to do. Raises EngineUnavailable when it fails repeatedly."""
    for pause in RETRY_PAUSES_SECONDS:
        try:
            return await work()
        except EngineUnavailable as error:
            logger.warning("%s; trying again", error.message)
            await asyncio.sleep(pause)
    return await work()
