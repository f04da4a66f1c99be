"""Both implementations of `JobQueue`, each test in a queue of its own."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from service.jobs.memory_queue import MemoryQueue
from service.jobs.queue import JobQueue, QueueLimits
from service.jobs.redis_connection import connect
from service.jobs.redis_queue import RedisQueue
from service.stack.redis_server import RedisServer
from tests.queue_calls import LEASE_SECONDS, NewQueue


@pytest.fixture(params=["memory", "redis"])
async def new_queue(request: pytest.FixtureRequest) -> AsyncIterator[NewQueue]:
    queues: list[JobQueue] = []

    def build(limits: QueueLimits) -> JobQueue:
        if request.param == "memory":
            queue: JobQueue = MemoryQueue(limits)
        else:
            server: RedisServer = request.getfixturevalue("redis_server")
            # A name of its own instead of flushing, so that tests may run side by side.
            queue = RedisQueue(connect(server.url), name=uuid.uuid4().hex, limits=limits)
        queues.append(queue)
        return queue

    yield build
    for queue in queues:
        await queue.close()


@pytest.fixture
def queue(new_queue: NewQueue) -> JobQueue:
    return new_queue(QueueLimits(lease_seconds=LEASE_SECONDS, max_depth=5))
