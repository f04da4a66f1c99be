"""A real sentinel with a primary and a replica: the queue follows the primary."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from service.domain import JobCompleted, JobState
from service.errors import JobLost, QueueUnavailable
from service.jobs.redis_connection import connect
from service.jobs.redis_queue import RedisQueue
from service.settings import QueueSettings
from service.stack.processes import ChildProcess, free_port, start_process, wait_until
from service.stack.redis_server import RedisServer, find_binary, start_redis
from tests.requests import request_of

PRIMARY = "nfig-primary"
DOWN_AFTER_MS = 500


@dataclass(frozen=True, kw_only=True)
class Group:
    servers: list[RedisServer]
    """The primary, then its replica."""
    sentinel_port: int

    @property
    def url(self) -> str:
        # The first sentinel is not there: the others are asked.
        return f"redis+sentinel://127.0.0.1:1,127.0.0.1:{self.sentinel_port}/{PRIMARY}/0"


def start_sentinel(folder: Path, primary_port: int) -> tuple[ChildProcess, int]:
    port, config = free_port(), folder / "sentinel.conf"
    lines = [
        f"port {port}",
        "bind 127.0.0.1",
        f"dir {folder}",
        f"sentinel monitor {PRIMARY} 127.0.0.1 {primary_port} 1",
        f"sentinel down-after-milliseconds {PRIMARY} {DOWN_AFTER_MS}",
        f"sentinel failover-timeout {PRIMARY} 3000",
    ]
    config.write_text("\n".join(lines) + "\n")
    binary = find_binary()
    assert binary is not None
    log = folder / "sentinel.log"
    child = start_process(
        "Sentinel", [str(binary), str(config), "--sentinel"], log=log, environment={}
    )
    wait_until(child, lambda: "+monitor" in log.read_text(), timeout_seconds=10)
    return child, port


@pytest.fixture
async def group(tmp_path: Path) -> AsyncIterator[Group]:
    servers = [
        start_redis(tmp_path / name, tmp_path / f"{name}.log") for name in ("first", "second")
    ]
    primary: Any = connect(servers[0].url)
    await primary.config_set("repl-diskless-sync-delay", 0)
    await primary.aclose()
    replica: Any = connect(servers[1].url)
    await replica.replicaof("127.0.0.1", servers[0].port)
    async with asyncio.timeout(20):
        while (await replica.info("replication"))["master_link_status"] != "up":
            await asyncio.sleep(0.1)
    await replica.aclose()
    sentinel, port = start_sentinel(tmp_path, servers[0].port)
    yield Group(servers=servers, sentinel_port=port)
    sentinel.stop()
    for server in servers:
        server.process.send_signal(signal.SIGCONT)
        server.stop()


@pytest.mark.timeout(120)
async def test_the_queue_follows_the_primary_and_jobs_go_on(group: Group) -> None:
    queue = RedisQueue.from_settings(QueueSettings(redis_url=group.url, lease_seconds=30))
    await queue.require_usable()
    job, other = [await queue.submit(request_of()) for _ in range(2)]
    (lease,) = await queue.lease("w", model="fake", count=1, wait_seconds=1)
    assert lease.job.id == job.id
    await replicated(group)
    group.servers[0].process.kill()
    with pytest.raises(QueueUnavailable) as away:
        await queue.submit(request_of())
    assert away.value.retry_after_s is not None
    await eventually_finished(queue, lease)
    assert (await queue.job(job.id)).state is JobState.COMPLETED
    (lease,) = await queue.lease("w", model="fake", count=1, wait_seconds=1)
    assert lease.job.id == other.id
    await queue.close()


async def replicated(group: Group) -> None:
    client: Any = connect(group.servers[0].url)
    assert await client.wait(1, 2000) == 1
    await client.aclose()


async def eventually_finished(queue: RedisQueue, lease: Any) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await queue.finish(lease, JobCompleted())
                return
            except QueueUnavailable:
                await asyncio.sleep(0.2)
            except JobLost:  # an answer that was lost
                return


async def test_a_primary_that_nobody_knows_is_unavailable(group: Group) -> None:
    url = group.url.replace(PRIMARY, "another")
    queue = RedisQueue.from_settings(QueueSettings(redis_url=url))
    began = time.monotonic()
    with pytest.raises(QueueUnavailable):
        await queue.ping()
    assert time.monotonic() - began < 2
    await queue.close()
