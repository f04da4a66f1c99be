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
        self.submit = _script(redis, "standing", "submit")
        self.lease = _script(redis, "ending", "lease")
        self.renew = _script(redis, "renew")
        self.publish = _script(redis, "publish")
        self.finish = _script(redis, "ending", "finish")
        self.hand_back = _script(redis, "hand_back")
        self.position = _script(redis, "standing", "position")
        self.backlog = _script(redis, "standing", "backlog")
        self.cancel = _script(redis, "ending", "cancel")
        self.count_request = _script(redis, "count_request")
        self.fail_late = _script(redis, "ending", "fail_late")
        self.register = _script(redis, "register")
        self.registered = _script(redis, "registered")
        self.unregister = _script(redis, "unregister")


def _script(redis: Redis, *names: str) -> Script:
    folder = files("service.jobs").joinpath("lua")
    text = "".join(folder.joinpath(f"{name}.lua").read_text(encoding="utf-8") for name in names)
    # Registered scripts reload themselves after a restart of Redis.
    script: Script = redis.register_script(text)
    return script
