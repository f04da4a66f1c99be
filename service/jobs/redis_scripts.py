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
    """Sent by its digest; in full only to a Redis that does not have it yet, or any more."""

    def __init__(self, batches: RedisBatches, *names: str) -> None:
        folder = files("service.jobs").joinpath("lua")
        parts = [folder.joinpath(f"{name}.lua").read_text(encoding="utf-8") for name in names]
        self._text = "".join(parts)
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
        batches = RedisBatches(redis)
        self.submit = Script(batches, "standing", "submit")
        self.lease = Script(batches, "ending", "lease")
        self.renew = Script(batches, "renew")
        self.publish = Script(batches, "publish")
        self.finish = Script(batches, "ending", "finish")
        self.hand_back = Script(batches, "hand_back")
        self.position = Script(batches, "standing", "position")
        self.backlog = Script(batches, "standing", "backlog")
        self.cancel = Script(batches, "ending", "cancel")
        self.count_request = Script(batches, "count_request")
        self.fail_late = Script(batches, "ending", "fail_late")
        self.register = Script(batches, "register")
        self.registered = Script(batches, "registered")
        self.unregister = Script(batches, "unregister")
