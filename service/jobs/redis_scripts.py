"""The Lua scripts beside this file as async functions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from service.jobs.redis_batches import RedisBatches


class Script:
    """Sent by its digest; in full only to a Redis that does not have it yet, or any more.

    What is written for a job that was accepted must be possible when Redis is full, too: the memory
    for it was counted at its acceptance.
    """

    def __init__(self, batches: RedisBatches, *names: str, even_if_full: bool = False) -> None:
        folder = files("service.jobs").joinpath("lua")
        parts = [folder.joinpath(f"{name}.lua").read_text(encoding="utf-8") for name in names]
        self._text = "".join(["#!lua flags=allow-oom\n" if even_if_full else "", *parts])
        self._digest = hashlib.sha1(self._text.encode(), usedforsecurity=False).hexdigest()
        self._batches = batches

    async def __call__(self, keys: Sequence[str], args: Sequence[Any]) -> Any:
        words = (len(keys), *keys, *args)
        try:
            return await self._batches.execute("EVALSHA", self._digest, *words)
        except NoScriptError:
            return await self._batches.execute("EVAL", self._text, *words)


class Scripts:
    """One attribute per script; what each takes and returns stands in its head comment."""

    def __init__(self, redis: Redis) -> None:
        self._batches = batches = RedisBatches(redis)
        self.submit = Script(batches, "attendance", "waiting", "accepting", "submit")
        self.lease = Script(batches, "waiting", "ending", "attendance", "lease", even_if_full=True)
        self.renew = Script(batches, "attendance", "renew", even_if_full=True)
        self.publish = Script(batches, "attendance", "publish", even_if_full=True)
        self.finish = Script(batches, "ending", "finish", even_if_full=True)
        self.hand_back = Script(batches, "waiting", "hand_back", even_if_full=True)
        self.position = Script(batches, "waiting", "position")
        self.backlog = Script(batches, "waiting", "backlog")
        self.memory = Script(batches, "accepting", "memory")
        self.cancel = Script(batches, "ending", "cancel", even_if_full=True)
        self.attend = Script(batches, "attendance", "attend", even_if_full=True)
        self.leave = Script(batches, "ending", "attendance", "leave", "cancel", even_if_full=True)
        self.count_request = Script(batches, "count_request", even_if_full=True)
        self.fail_unserved = Script(
            batches, "ending", "attendance", "fail_unserved", even_if_full=True
        )
        self.fail_late = Script(batches, "waiting", "ending", "fail_late", even_if_full=True)
        self.retry = Script(batches, "accepting", "retry")
        self.drop = Script(batches, "drop")
        self.register = Script(batches, "register", even_if_full=True)
        self.registered = Script(batches, "registered")
        self.unregister = Script(batches, "unregister")

    async def close(self) -> None:
        """Waits for what is on its way to Redis."""
        await self._batches.close()
