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
        self.submit = _script(redis, "attendance", "accepting", "submit")
        self.lease = _script(redis, "waiting", "ending", "attendance", "lease", even_if_full=True)
        self.renew = _script(redis, "attendance", "renew", even_if_full=True)
        self.publish = _script(redis, "attendance", "publish", even_if_full=True)
        self.finish = _script(redis, "ending", "finish", even_if_full=True)
        self.hand_back = _script(redis, "hand_back", even_if_full=True)
        self.position = _script(redis, "waiting", "position")
        self.backlog = _script(redis, "waiting", "backlog")
        self.memory = _script(redis, "accepting", "memory")
        self.cancel = _script(redis, "ending", "cancel", even_if_full=True)
        self.attend = _script(redis, "attendance", "attend", even_if_full=True)
        self.leave = _script(redis, "ending", "attendance", "leave", "cancel", even_if_full=True)
        self.count_request = _script(redis, "count_request", even_if_full=True)
        self.fail_late = _script(redis, "waiting", "ending", "fail_late", even_if_full=True)
        self.retry = _script(redis, "accepting", "retry")
        self.drop = _script(redis, "drop")
        self.register = _script(redis, "register", even_if_full=True)
        self.registered = _script(redis, "registered")
        self.unregister = _script(redis, "unregister")


def _script(redis: Redis, *names: str, even_if_full: bool = False) -> Script:
    """What is written for a job that was accepted must be possible when Redis is full, too: the
    memory for it was counted at its acceptance."""
    folder = files("service.jobs").joinpath("lua")
    text = "#!lua flags=allow-oom\n" if even_if_full else ""
    text += "".join(folder.joinpath(f"{name}.lua").read_text(encoding="utf-8") for name in names)
    # Registered scripts reload themselves after a restart of Redis.
    script: Script = redis.register_script(text)
    return script
