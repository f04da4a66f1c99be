"""Writes that outlast a queue that is away for a while."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from service.errors import QueueUnavailable

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.5
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
