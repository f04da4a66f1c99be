"""Texts under ids that expire one by one: model cards and the heartbeats of workers."""

from __future__ import annotations

from collections.abc import Sequence

from service.jobs.keys import expiries
from service.jobs.redis_failures import unavailable
from service.jobs.redis_scripts import Scripts


class RedisRegistry:
    """One hash and its expiries: reading it costs the same however many jobs Redis holds."""

    def __init__(self, scripts: Scripts, key: str) -> None:
        self._scripts = scripts
        self._keys = [key, expiries(key)]

    async def put(self, entry_id: str, text: str, *, ttl_seconds: float) -> None:
        with unavailable():
            args = [entry_id, text, int(ttl_seconds * 1000)]
            await self._scripts.register(keys=self._keys, args=args)

    async def drop(self, entry_id: str) -> None:
        with unavailable():
            await self._scripts.unregister(keys=self._keys, args=[entry_id])

    async def texts(self) -> Sequence[bytes]:
        """Those that have not expired, in no order."""
        with unavailable():
            found: list[bytes] = await self._scripts.registered(keys=self._keys, args=[])
        return found
