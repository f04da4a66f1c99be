"""Callers who ask and do not read a byte of the answer, until the gateway has no room for it left.

The kernel takes in a megabyte or two before a gateway notices anything, so each asks for the whole
log of a job again and again on one connection.
"""

from __future__ import annotations

import asyncio
import random
import socket

from redis.asyncio import Redis

from service.jobs.keys import LOG_SUFFIX
from service.stack.processes import HOST
from tests.chaos.stack import ChaosStack

CALLERS = 3
QUESTIONS = 400
"""Of each, with 10 kB or so for an answer."""
SECONDS = (2.0, 4.0)


async def stop_reading(stack: ChaosStack, rng: random.Random) -> str:
    """Hangs up in the end without having read."""
    port = int(rng.choice(stack.urls).rpartition(":")[2])
    job = await _ended_job(stack.redis_url)
    sockets = [socket.socket() for _ in range(CALLERS)]
    try:
        for each in sockets:
            await _ask(each, port, job)
        await asyncio.sleep(rng.uniform(*SECONDS))
    finally:
        for each in sockets:
            each.close()
    return f"{CALLERS} callers at port {port}"


async def _ask(caller: socket.socket, port: int, job: str) -> None:
    caller.setblocking(False)
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # the least there is
    loop = asyncio.get_running_loop()
    await loop.sock_connect(caller, (HOST, port))
    question = f"GET /v1/jobs/{job}/events HTTP/1.1\r\nhost: {HOST}\r\n\r\n".encode()
    await loop.sock_sendall(caller, question * QUESTIONS)


async def _ended_job(redis_url: str) -> str:
    """The one with the longest log that a look at a few of them finds."""
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        found: dict[str, int] = {}
        async for key in redis.scan_iter("nfig:job:*", count=1000):
            if key.count(":") == 2 and await redis.hget(key, "state") == "completed":
                found[key.rpartition(":")[2]] = await redis.xlen(key + LOG_SUFFIX)
            if len(found) == 20:
                break
    assert found, "no job has been drawn"
    return max(found, key=found.__getitem__)
