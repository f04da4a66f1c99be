"""The images that jobs vary: under keys of their own that expire, whatever becomes of the job."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from service.errors import NotFound, QueueUnavailable, ServiceError
from service.jobs.keys import Keys
from service.jobs.redis_failures import submitting, unavailable


class RedisUploads:
    """Deleting at the end of a job is the business of the script that ends it (`ending.lua`)."""

    def __init__(self, redis: Any, keys: Keys, *, ttl_seconds: float) -> None:
        self._redis = redis
        self._keys = keys
        self._ttl_ms = int(ttl_seconds * 1000)

    @asynccontextmanager
    async def kept_for(self, job_id: str, upload: bytes | None) -> AsyncGenerator[None]:
        """Keeps the image of a job that is submitted inside; if the job is refused, no longer."""
        if upload is None:
            yield
            return
        key = self._keys.upload(job_id)
        with submitting():
            await self._redis.set(key, upload, px=self._ttl_ms)
        try:
            yield
        except QueueUnavailable:
            # The job may be there all the same, and need it.
            raise
        except ServiceError:
            with unavailable():
                await self._redis.delete(key)
            raise

    async def read(self, job_id: str) -> bytes:
        """Raises NotFound."""
        with unavailable():
            content: bytes | None = await self._redis.get(self._keys.upload(job_id))
        if content is None:
            raise NotFound(f"job {job_id} has no uploaded image", field="job_id")
        return content
