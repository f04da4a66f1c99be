"""The queue in Redis (7.0 or later): streams, and one Lua script for every transition.

A job is pending in the stream of its model and priority for as long as it is leased; a lease is
prolonged by claiming the entry anew, and lapses when that has been idle for `lease_seconds`.
"""

from __future__ import annotations

from typing import Self

from pydantic import SecretStr

from service.jobs.queue import QueueLimits
from service.jobs.redis_connection import Credentials, connect
from service.jobs.redis_gateway_verbs import RedisGatewayVerbs
from service.jobs.redis_operator_verbs import RedisOperatorVerbs
from service.jobs.redis_worker_verbs import RedisWorkerVerbs
from service.settings import QueueSettings


class RedisQueue(RedisGatewayVerbs, RedisWorkerVerbs, RedisOperatorVerbs):
    """`JobQueue` on one Redis."""

    @classmethod
    def from_settings(cls, settings: QueueSettings) -> Self:
        """Connects when first used. Raises ValueError that names the setting."""
        limits = QueueLimits(
            max_depth=settings.max_queue_depth,
            extra_depth=settings.brownout_extra_depth,
            lease_seconds=settings.lease_seconds,
            max_attempts=settings.max_attempts,
            retention_seconds=settings.retention_seconds,
            memory_bytes=settings.queue_memory_bytes,
        )
        credentials = Credentials(
            username=settings.redis_username,
            password=_secret(settings.redis_password),
            sentinel_password=_secret(settings.redis_sentinel_password),
            ca_file=settings.redis_ca_file,
        )
        try:
            client = connect(settings.redis_url, credentials)
        except ValueError as error:
            raise ValueError(f"NFIG_REDIS_URL {error}") from None
        return cls(client, name=settings.queue_name, limits=limits)


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()
