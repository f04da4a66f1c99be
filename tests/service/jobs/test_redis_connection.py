"""Passwords, TLS and what a Redis is refused for when a process starts."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from service.errors import QueueUnavailable
from service.jobs.redis_connection import Credentials, connect
from service.jobs.redis_queue import RedisQueue
from service.settings import QueueSettings
from service.stack.redis_server import start_redis
from tests.requests import request_of

PASSWORD = "open sesame/?#:@"


def queue_of(url: str, **settings: Any) -> RedisQueue:
    return RedisQueue.from_settings(QueueSettings(redis_url=url, **settings))


async def is_usable(queue: RedisQueue) -> bool:
    """Raises what `require_usable` does."""
    try:
        await queue.require_usable()
        await queue.cancel((await queue.submit(request_of())).id)
        return True
    except QueueUnavailable:
        return False
    finally:
        await queue.close()


@dataclass(frozen=True, kw_only=True)
class Server:
    port: int
    admin: Any
    """A client that is let in before anything is asked for."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    running = start_redis(tmp_path / "data", tmp_path / "redis.log")
    admin: Any = connect(running.url)
    yield Server(port=running.port, admin=admin)
    await admin.aclose()
    running.stop()


async def test_a_password_may_stand_in_the_settings_or_in_the_url(server: Server) -> None:
    await server.admin.config_set("requirepass", PASSWORD)
    assert await is_usable(queue_of(server.url, redis_password=SecretStr(PASSWORD)))
    quoted = "open%20sesame%2F%3F%23%3A%40"
    assert await is_usable(queue_of(f"redis://:{quoted}@127.0.0.1:{server.port}/0"))


@pytest.mark.parametrize("without", ["-@admin", "-info"])
async def test_a_user_with_a_password_of_its_own(server: Server, without: str) -> None:
    rules = ("on", f">{PASSWORD}", "~nfig*", "&*", "+@all", without)
    await server.admin.execute_command("ACL", "SETUSER", "drawer", *rules)
    settings = {"redis_username": "drawer", "redis_password": SecretStr(PASSWORD)}
    assert await is_usable(queue_of(server.url, **settings))


@pytest.mark.parametrize("given", [None, "wrong"])
async def test_a_login_that_is_refused_ends_the_start_by_name(
    server: Server, given: str | None
) -> None:
    await server.admin.config_set("requirepass", PASSWORD)
    password = None if given is None else SecretStr(given)
    with pytest.raises(ValueError, match="NFIG_REDIS_PASSWORD") as refused:
        await is_usable(queue_of(server.url, redis_password=password))
    assert given is None or given not in str(refused.value)


async def test_a_redis_that_throws_things_away_is_refused(server: Server) -> None:
    await server.admin.config_set("maxmemory", 100_000_000)
    await server.admin.config_set("maxmemory-policy", "volatile-lru")
    with pytest.raises(ValueError, match="noeviction, not volatile-lru"):
        await is_usable(queue_of(server.url))
    await server.admin.config_set("maxmemory-policy", "noeviction")
    assert await is_usable(queue_of(server.url))


async def test_a_redis_that_is_not_there_yet_is_waited_for() -> None:
    assert not await is_usable(queue_of("redis://127.0.0.1:1/0"))


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("http://127.0.0.1", "rediss"),
        ("127.0.0.1:6379", "rediss"),
        ("redis+sentinel://127.0.0.1:26379", "/PRIMARY"),
        ("redis+sentinel://127.0.0.1:26379/nfig/zero", "/PRIMARY"),
        ("redis+sentinel:///nfig", "HOST:PORT"),
        ("redis+sentinel://:SECRET@host:port/nfig", "must be"),
    ],
)
def test_a_url_that_is_none_is_refused_by_name_and_not_repeated(url: str, named: str) -> None:
    with pytest.raises(ValueError, match="NFIG_REDIS_URL") as refused:
        queue_of(url)
    assert named in str(refused.value)
    assert "SECRET" not in str(refused.value)


def test_passwords_are_not_shown() -> None:
    credentials = Credentials(password="SECRET", sentinel_password="SECRET")
    settings = QueueSettings(redis_password=SecretStr("SECRET"))
    assert "SECRET" not in f"{credentials} {settings!r}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a key and a certificate for 127.0.0.1 that signs itself."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here to make a certificate with")
    folder = tmp_path_factory.mktemp("certificate")
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(command, check=True, capture_output=True)
    yield folder


@pytest.fixture
async def tls_url(server: Server, certificate: Path) -> AsyncIterator[str]:
    """The wheel's server has no TLS, so that ends in front of it, as in many a managed Redis."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(pump(reader, back), pump(there, writer))
        await asyncio.gather(back.wait_closed(), writer.wait_closed(), return_exceptions=True)

    proxy = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    yield f"rediss://127.0.0.1:{proxy.sockets[0].getsockname()[1]}/0"
    proxy.close()
    await asyncio.sleep(0.1)  # until what was open has said goodbye


async def test_tls_with_a_password(server: Server, tls_url: str, certificate: Path) -> None:
    await server.admin.config_set("requirepass", PASSWORD)
    settings = {
        "redis_ca_file": str(certificate / "cert.pem"),
        "redis_password": SecretStr(PASSWORD),
    }
    assert await is_usable(queue_of(tls_url, **settings))


async def test_a_certificate_that_nobody_vouches_for_ends_the_start(tls_url: str) -> None:
    with pytest.raises(ValueError, match="NFIG_REDIS_CA_FILE"):
        await is_usable(queue_of(tls_url))


@pytest.mark.parametrize("module", ["service.gateway", "service.worker"])
@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"NFIG_REDIS_URL": "http://127.0.0.1"}, "NFIG_REDIS_URL must be a redis://"),
        ({"NFIG_REDIS_PASSWORD": "wrong"}, "NFIG_REDIS_PASSWORD"),
    ],
)
async def test_a_process_that_cannot_start_says_why_in_one_line(
    server: Server, module: str, settings: dict[str, str], named: str
) -> None:
    await server.admin.config_set("requirepass", PASSWORD)
    environment = {
        **os.environ,
        "NFIG_REDIS_URL": server.url,
        "NFIG_PORT": "0",
        "NFIG_WORKER_PORT": "0",
        "NFIG_ENGINE": "fake",
        **settings,
    }
    command = [sys.executable, "-m", module]
    ended = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1
    assert named in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
