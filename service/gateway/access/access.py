"""From an `Authorization` value to a `Principal`, and from a `Principal` to its request budget.

Every front door asks here and nowhere else. Without a keys file every caller is the same anonymous
tenant, and whatever they send as a key is ignored: OpenAI's clients cannot send nothing.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from pathlib import Path

from service.domain import ANONYMOUS
from service.errors import InvalidApiKey, RateLimitExceeded, ServiceError, catalogued
from service.gateway.access.key_file import KeyFile
from service.gateway.access.principal import LINK_HOLDER, Limits, Principal
from service.gateway.cards import answered_within
from service.jobs.queue import JobQueue
from service.jobs.request_budget import RequestBudget
from service.metrics import Metrics
from service.settings import GatewaySettings

WAYS_OUT = (
    "set NFIG_API_KEYS_FILE to ask callers for keys, NFIG_HOST to a loopback address such as "
    "127.0.0.1, or NFIG_ALLOW_ANONYMOUS=1 to let anybody draw"
)


class Access:
    """Who is let in, and how often."""

    def __init__(self, *, queue: JobQueue, settings: GatewaySettings, metrics: Metrics) -> None:
        """Raises ValueError, as `KeyFile`."""
        self._queue = queue
        self._metrics = metrics
        self._timeout_seconds = settings.queue_timeout_seconds
        self._open_links = settings.links_without_key
        path = settings.api_keys_file
        self._file = None if path is None else KeyFile(Path(path))
        self._defaults = Limits(
            requests_per_minute=settings.tenant_requests_per_minute or None,
            jobs_in_flight=settings.tenant_jobs_in_flight or None,
            images_per_request=None,
            max_priority=settings.tenant_max_priority,
        )

    @property
    def asks_for_keys(self) -> bool:
        return self._file is not None

    def principal(self, authorization: str | None) -> Principal:
        """The caller by the value of its `Authorization` header or metadata: `Bearer KEY`.

        Raises InvalidApiKey.
        """
        if self._file is None:
            return Principal(tenant=ANONYMOUS, limits=self._defaults)
        if not authorization:
            text = "an API key is needed: send it as authorization: Bearer KEY"
            raise self._refusal(InvalidApiKey(text))
        scheme, _, key = authorization.partition(" ")
        table = self._file.table()
        tenant = table.tenant(key.strip(), now=datetime.now(UTC))
        if scheme.lower() != "bearer" or tenant is None:
            text = "the API key is not one that is known here, or has expired"
            raise self._refusal(InvalidApiKey(text))
        return Principal(tenant=tenant, limits=self._limits(table.limits(tenant)))

    def viewer(self, authorization: str | None) -> Principal:
        """As `principal`, for the pictures and events of a job: browsers open their addresses
        without headers, so there the unguessable id of the job may stand in for a key."""
        if self.asks_for_keys and self._open_links and not authorization:
            return LINK_HOLDER
        return self.principal(authorization)

    async def count_request(self, principal: Principal) -> RequestBudget | None:
        """Takes one request from the tenant's budget; None where it has no limit.

        Raises QueueUnavailable. Whoever goes on must ask `require_allowed` first.
        """
        per_minute = principal.limits.requests_per_minute
        if per_minute is None:
            return None
        call = self._queue.count_request(principal.tenant, per_minute=per_minute)
        return await answered_within(self._timeout_seconds, call)

    def require_allowed(self, budget: RequestBudget | None) -> None:
        """Raises RateLimitExceeded that says when to come back."""
        if budget is not None and not budget.allowed:
            error = RateLimitExceeded(
                f"you may make {budget.limit} requests per minute",
                retry_after_s=budget.retry_seconds,
            )
            raise self._refusal(error)

    def _refusal(self, error: ServiceError) -> ServiceError:
        """The error, once it is counted."""
        self._metrics.jobs_refused.labels(reason=catalogued(error).code).inc()
        return error

    def reload(self) -> None:
        """Reads the keys file anew, if there is one."""
        if self._file is not None:
            self._file.reload()

    def _limits(self, stated: Limits) -> Limits:
        """What the file says of the tenant, else what the settings say of every tenant."""
        per_minute = stated.requests_per_minute or self._defaults.requests_per_minute
        in_flight = stated.jobs_in_flight or self._defaults.jobs_in_flight
        return Limits(
            requests_per_minute=per_minute,
            jobs_in_flight=in_flight,
            images_per_request=stated.images_per_request,
            max_priority=stated.max_priority or self._defaults.max_priority,
        )


def check_exposure(settings: GatewaySettings) -> str:
    """One line for the log that says who may draw. Raises ValueError that names the settings."""
    if settings.api_keys_file is not None:
        if settings.allow_anonymous:
            raise ValueError("NFIG_ALLOW_ANONYMOUS contradicts NFIG_API_KEYS_FILE: unset one")
        return f"callers need a key of {settings.api_keys_file}"
    if _is_loopback(settings.host):
        return "no keys are asked for: only this machine can reach the gateway"
    if not settings.allow_anonymous:
        raise ValueError(f"NFIG_HOST {settings.host} would let anybody draw: {WAYS_OUT}")
    return f"no keys are asked for: anybody who reaches {settings.host} can draw"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
