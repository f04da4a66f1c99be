"""The Lua scripts beside this file as async functions."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Protocol

from redis.asyncio import Redis


class Script(Protocol):
    async def __call__(self, keys: Sequence[str], args: Sequence[Any]) -> Any: ...


class Scripts:
    """One attribute per script; what each takes and returns stands in its head comment."""

    def __init__(self, redis: Redis) -> None:
        self.submit = _script(redis, "submit")
        self.lease = _script(redis, "lease")
        self.renew = _script(redis, "renew")
        self.publish = _script(redis, "publish")
        self.finish = _script(redis, "finish")
        self.hand_back = _script(redis, "hand_back")
        self.cancel = _script(redis, "cancel")


def _script(redis: Redis, name: str) -> Script:
    # Registered scripts reload themselves after a restart of Redis.
    text = files("service.jobs").joinpath("lua", f"{name}.lua").read_text()
    script: Script = redis.register_script(text)
    return script
