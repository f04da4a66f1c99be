"""What a Redis says of itself, for whoever checks an installation."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError

from service.jobs.redis_check import facts_of


@dataclass(frozen=True, kw_only=True)
class RedisFacts:
    version: str
    role: str
    is_cluster: bool
    keeps_a_log: bool
    """Whether the append-only file is on."""
    log_is_written: bool
    """False once a write of that file has failed."""
    maxmemory_bytes: int
    """0 is no limit."""
    used_bytes: int
    eviction: str
    """`maxmemory-policy`."""
    clock_ahead_seconds: float
    """Of Redis' clock, against this machine's."""


async def inspect_redis(redis: Any) -> RedisFacts:
    """Raises ValueError that says why it could not be asked."""
    try:
        facts = facts_of(await redis.execute_command("INFO", "everything"))
        ahead = await _clock_ahead(redis)
    except (RedisError, OSError) as error:
        raise ValueError(str(error)) from None
    return RedisFacts(
        version=facts.get("redis_version", "?"),
        role=facts.get("role", "?"),
        is_cluster=facts.get("cluster_enabled", "0") != "0",
        keeps_a_log=facts.get("aof_enabled", "0") != "0",
        log_is_written=facts.get("aof_last_write_status", "ok") == "ok",
        maxmemory_bytes=int(facts.get("maxmemory", "0")),
        used_bytes=int(facts.get("used_memory", "0")),
        eviction=facts.get("maxmemory_policy", "noeviction"),
        clock_ahead_seconds=ahead,
    )


async def _clock_ahead(redis: Any) -> float:
    """As exact as half the time that the answer takes."""
    before = time.time()
    seconds, microseconds = await redis.execute_command("TIME")
    there = int(seconds) + int(microseconds) / 1e6
    return float(there - (before + time.time()) / 2)
