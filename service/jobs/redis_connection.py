"""Connecting to Redis: to one server, or to whichever Sentinel says is the primary now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import hiredis
from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, ReadOnlyError

CONNECT_SECONDS = 0.5
ANSWER_SECONDS = 1.0
MAX_CONNECTIONS = 32
"""Of one process, however many callers it has: commands are short and wait for each other. Only a
worker that waits for a job and the reader of logs hold one for longer."""
SENTINEL_PORT = 26379
SCHEMES = "redis://, rediss://, unix://, redis+sentinel:// or rediss+sentinel://"


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What a Redis asks for, beside what the URL says."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    """Certificates that may sign the server's, in place of the system's."""


NONE_ASKED = Credentials()


def connect(url: str, credentials: Credentials = NONE_ASKED) -> Redis:
    """A client that fails fast: who calls decides whether to try again.

    Raises ValueError, which does not repeat the URL.
    """
    options: dict[str, Any] = {
        "timeout": ANSWER_SECONDS,
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": ANSWER_SECONDS,
        "max_connections": MAX_CONNECTIONS,
        # Once, at once: a connection from the pool may have died while it lay there. Every command
        # of ours may be repeated.
        "retry": Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)),
        "protocol": 2,
        **_given(username=credentials.username, password=credentials.password),
    }
    scheme = url.split(":")[0]
    if scheme in ("rediss", "rediss+sentinel"):
        options |= _given(ssl_ca_certs=credentials.ca_file)
    try:
        if scheme in ("redis+sentinel", "rediss+sentinel"):
            pool: BlockingConnectionPool = SentinelPool(
                **options, **_through_sentinel(url, credentials)
            )
        else:
            pool = BlockingConnectionPool.from_url(url, **options)
    except ValueError as error:
        raise ValueError(f"must be a {SCHEMES} URL: {error}") from None
    # One that speaks TCP, TLS or over a Unix socket, as the URL says.
    pool.connection_class = type("Connection", (_PacksInC, pool.connection_class), {})
    return Redis.from_pool(pool)


class _PacksInC:
    """Mixed into a connection. An asynchronous one packs commands in Python otherwise, and there
    lies most of what one costs that names many keys."""

    def pack_command(self, name: str, *words: Any) -> list[bytes]:
        # Some commands are two words: SCRIPT LOAD.
        return [hiredis.pack_command((*name.split(), *words))]


class SentinelPool(BlockingConnectionPool):
    """Its connections to the sentinels end with it."""

    def __init__(self, *, sentinel: Sentinel, **options: Any) -> None:
        super().__init__(sentinel=sentinel, **options)
        self._sentinel = sentinel

    async def aclose(self) -> None:
        await super().aclose()
        for client in self._sentinel.sentinels:
            await client.aclose()


class PrimaryConnection(Connection):
    """Asks the sentinels for the primary whenever it connects."""

    def __init__(self, *, sentinel: Sentinel, primary: str, **options: Any) -> None:
        self._sentinel = sentinel
        self._primary = primary
        super().__init__(**options)

    async def connect_check_health(self, *args: Any, **options: Any) -> None:
        if not self.is_connected:
            self.host, self.port = await self._sentinel.discover_master(self._primary)
        await super().connect_check_health(*args, **options)

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*args, **options)
        except ReadOnlyError:
            # It was the primary when this connection was made.
            await self.disconnect()
            raise ConnectionError("the primary has changed") from None


class PrimaryTlsConnection(PrimaryConnection, SSLConnection):
    pass


def _through_sentinel(url: str, credentials: Credentials) -> Mapping[str, Any]:
    """Options of the pool. `redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/PRIMARY/DB`."""
    parts = urlsplit(url)
    tls = parts.scheme.startswith("rediss")
    primary, _, database = parts.path.strip("/").partition("/")
    if not primary or (database and not database.isdigit()):
        raise ValueError("Sentinel needs /PRIMARY or /PRIMARY/DB after the hosts")
    access = {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": ANSWER_SECONDS,
        "retry": Retry(NoBackoff(), 0),  # there are others to ask
        **_given(password=credentials.sentinel_password),
        **({"ssl": True, **_given(ssl_ca_certs=credentials.ca_file)} if tls else {}),
    }
    sentinel: Any = Sentinel  # its own types leave its arguments open
    return {
        "connection_class": PrimaryTlsConnection if tls else PrimaryConnection,
        "sentinel": sentinel(_sentinels(parts), sentinel_kwargs=access),
        "primary": primary,
        "db": int(database or 0),
        **_login(parts),
    }


def _sentinels(parts: SplitResult) -> list[tuple[str, int]]:
    found = []
    for address in parts.netloc.rpartition("@")[2].split(","):
        one = urlsplit(f"//{address}")
        if not one.hostname:
            raise ValueError("Sentinel needs HOST:PORT,HOST:PORT")
        found.append((one.hostname, one.port or SENTINEL_PORT))
    return found


def _login(parts: SplitResult) -> Mapping[str, str]:
    login, at, _ = parts.netloc.rpartition("@")
    if not at:
        return {}
    username, _, password = login.partition(":")
    return _given(username=unquote(username), password=unquote(password))


def _given(**options: str | None) -> dict[str, str]:
    return {name: value for name, value in options.items() if value}
