"""What the verbs of gateway and worker share: one Redis, its keys, its scripts, and the limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from service.jobs.keys import Keys
from service.jobs.queue import QueueLimits
from service.jobs.redis_check import require_usable
from service.jobs.redis_failures import unavailable
from service.jobs.redis_inspection import RedisFacts, inspect_redis
from service.jobs.redis_log import RedisLog
from service.jobs.redis_registry import RedisRegistry
from service.jobs.redis_scripts import Scripts
from service.jobs.redis_submissions import RedisSubmissions
from service.jobs.redis_uploads import RedisUploads


class RedisStore:
    """The base of `RedisGatewayVerbs` and `RedisWorkerVerbs`."""

    def __init__(self, redis: Redis, *, name: str, limits: QueueLimits) -> None:
        # The client's own types leave open which of three shapes an answer has.
        self._redis: Any = redis
        self._keys = Keys(prefix=name)
        self._limits = limits
        self._scripts = Scripts(redis)
        self._head_start_ms = int(limits.head_start_seconds * 1000)
        self._retention_ms = int(limits.retention_seconds * 1000)
        self._log = RedisLog(redis, self._keys)
        self._submissions = RedisSubmissions(self._scripts, self._keys, limits)
        self._uploads = RedisUploads(redis, self._keys, ttl_seconds=limits.upload_seconds)
        self._models = RedisRegistry(self._scripts, self._keys.models)
        self._unanswered: dict[str, str] = {}
        """By worker: its latest call for jobs, if what came of it is not known."""
        self._workers = RedisRegistry(self._scripts, self._keys.workers)

    async def ping(self) -> None:
        with unavailable():
            await self._redis.ping()

    async def require_usable(self) -> None:
        """For the start of a process. Raises ValueError that says what to change."""
        await require_usable(self._redis)

    async def facts(self) -> RedisFacts:
        """For whoever checks an installation. Raises ValueError."""
        return await inspect_redis(self._redis)

    async def close(self) -> None:
        await self._log.close()
        await self._scripts.close()
        await self._redis.aclose()

    def _keys_to_end(self, job_id: str, waiting: str) -> Sequence[str]:
        """What the scripts that end a job touch."""
        keys = self._keys
        return [
            keys.job(job_id),
            keys.log(job_id),
            keys.pictures(job_id),
            waiting,
            keys.outstanding,
        ]
