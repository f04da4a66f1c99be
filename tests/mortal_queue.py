"""The queue in Redis, in the hands of a process that is killed between two of its commands."""

from __future__ import annotations

import asyncio
from typing import Any

from service.jobs.redis_queue import RedisQueue
from service.jobs.redis_scripts import Script


class Mortal(RedisQueue):
    """The queue of a process that dies at one of its commands: before Redis has carried it out, or
    before it has heard of that. It may come back to life, and then go on where it was."""

    def kill_at(self, script: str, number: int, *, carried_out: bool) -> None:
        self.died, self.lives_again = asyncio.Event(), asyncio.Event()
        step: Script = getattr(self._scripts, script)
        batches, left = step._batches, number
        execute = batches.execute

        async def mortal(*words: Any) -> Any:
            nonlocal left
            dies = words[1] == step._digest and left == 0
            left -= words[1] == step._digest
            if not dies:
                await self._life()
                return await execute(*words)
            answer = await execute(*words) if carried_out else None
            self.died.set()
            await self._life()
            return answer if carried_out else await execute(*words)

        batches.execute = mortal  # type: ignore[method-assign]

    async def _life(self) -> None:
        if self.died.is_set():
            await self.lives_again.wait()
