"""Commands that come together travel together: one write and one read for all of them.

With many callers at once a process spends less on each, and one caller waits no longer than alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

GATHER_SECONDS = 0.002
"""How long a command waits for others while some are travelling, which says that there are many."""


@dataclass(frozen=True, kw_only=True)
class _Command:
    words: Sequence[Any]
    answer: asyncio.Future[Any]


class RedisBatches:
    """For commands that Redis answers at once; one that blocks would hold up the others."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis
        self._waiting: list[_Command] = []
        self._travelling: set[asyncio.Task[None]] = set()

    async def execute(self, *words: Any) -> Any:
        """As `Redis.execute_command`, and raises what it raises."""
        loop = asyncio.get_running_loop()
        command = _Command(words=words, answer=loop.create_future())
        if not self._waiting and self._travelling:
            loop.call_later(GATHER_SECONDS, self._send)
        elif not self._waiting:
            # After all that is ready to run now, and may have commands of its own.
            loop.call_soon(self._send)
        self._waiting.append(command)
        return await command.answer

    async def close(self) -> None:
        """Waits for what is on its way: left to itself, it might connect again after the last."""
        await asyncio.gather(*self._travelling)

    def _send(self) -> None:
        # Those whose callers have gone away meanwhile, perhaps with the connections, are not sent.
        batch = [command for command in self._waiting if not command.answer.done()]
        self._waiting = []
        if not batch:
            return
        # A task of its own: no caller who goes away takes the others' commands along.
        task = asyncio.create_task(self._travel(batch))
        self._travelling.add(task)
        task.add_done_callback(self._travelling.discard)

    async def _travel(self, batch: Sequence[_Command]) -> None:
        answers: Sequence[Any]
        try:
            answers = await self._answers([command.words for command in batch])
        except Exception as error:
            answers = [error] * len(batch)
        for command, answer in zip(batch, answers, strict=True):
            if command.answer.done():  # its caller has gone away
                continue
            if isinstance(answer, Exception):
                command.answer.set_exception(answer)
            else:
                command.answer.set_result(answer)

    async def _answers(self, commands: Sequence[Sequence[Any]]) -> Sequence[Any]:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for words in commands:
                pipeline.execute_command(*words)
            answers: Sequence[Any] = await pipeline.execute(raise_on_error=False)
        return answers
