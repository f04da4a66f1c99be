"""Does harm to the stack, one fault after another, in an order that a seed decides."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from redis.asyncio import Redis

from tests.chaos.deaf_callers import stop_reading
from tests.chaos.history import Fault
from tests.chaos.proxy import Proxy
from tests.chaos.stack import LEASE_SECONDS, ChaosStack, Part, until_ready

REST_SECONDS = (0.3, 1.5)
"""Between two faults."""
TAKEOVER_SECONDS = 2 * LEASE_SECONDS
"""By when another worker has found a job whose lease has lapsed."""
Harm = Callable[[ChaosStack, random.Random], Awaitable[str]]
"""Harms, makes good, and tells whom it has met."""


async def _kill(part: Part, rng: random.Random) -> str:
    await part.kill()
    await asyncio.sleep(rng.uniform(0, 1.5))
    await part.start()
    return part.name


async def _terminate(part: Part, rng: random.Random) -> str:
    part.signal(signal.SIGTERM)
    status = await part.gone()
    await part.start()
    return f"{part.name}, which ended with status {status}"


async def _pause(part: Part, seconds: float) -> str:
    part.signal(signal.SIGSTOP)
    await asyncio.sleep(seconds)
    part.signal(signal.SIGCONT)
    return f"{part.name} for {seconds:.2f} s"


async def kill_worker(stack: ChaosStack, rng: random.Random) -> str:
    return await _kill(rng.choice(stack.workers), rng)


async def stop_worker(stack: ChaosStack, rng: random.Random) -> str:
    return await _terminate(rng.choice(stack.workers), rng)


async def pause_worker(stack: ChaosStack, rng: random.Random) -> str:
    """For longer than its leases: it comes back at the moment when another has taken one over."""
    part = rng.choice(stack.workers)
    part.signal(signal.SIGSTOP)
    began = time.monotonic()
    redis = Redis.from_url(stack.redis_url)
    try:
        before = await _leases(redis)
        taken = False
        while not taken and time.monotonic() < began + TAKEOVER_SECONDS:
            await asyncio.sleep(0.02)
            now = await _leases(redis)
            taken = any(now.get(job, 0) > leases > 0 for job, leases in before.items())
    finally:
        await redis.aclose()
        part.signal(signal.SIGCONT)
    how = "with a takeover" if taken else "unnoticed"
    return f"{part.name} for {time.monotonic() - began:.2f} s, {how}"


async def race_for_takeover(stack: ChaosStack, rng: random.Random) -> str:
    """One dies; the other and its successor go for its jobs at the same moment."""
    part = rng.choice(stack.workers)
    await part.kill()
    await part.start()
    return await _pause(rng.choice(stack.workers), LEASE_SECONDS)


async def jump_clock(stack: ChaosStack, rng: random.Random) -> str:
    part = rng.choice(stack.workers)
    part.signal(signal.SIGUSR1)
    return part.name


async def kill_gateway(stack: ChaosStack, rng: random.Random) -> str:
    return await _kill(rng.choice(stack.gateways), rng)


async def stop_gateway(stack: ChaosStack, rng: random.Random) -> str:
    return await _terminate(rng.choice(stack.gateways), rng)


async def restart_rolling(stack: ChaosStack, rng: random.Random) -> str:
    """A new version: every gateway, then every worker, each when the one before is back."""
    for part in [*stack.gateways, *stack.workers]:
        await _terminate(part, rng)
        await until_ready(stack)
    return "all gateways, then all workers"


async def pause_gateway(stack: ChaosStack, rng: random.Random) -> str:
    return await _pause(rng.choice(stack.gateways), rng.uniform(0.5, 3.5))


async def kill_redis(stack: ChaosStack, rng: random.Random) -> str:
    return await _kill(stack.redis, rng)


async def stop_redis(stack: ChaosStack, rng: random.Random) -> str:
    return await _terminate(stack.redis, rng)


async def pause_redis(stack: ChaosStack, rng: random.Random) -> str:
    return await _pause(stack.redis, rng.uniform(0.5, LEASE_SECONDS + 1))


async def fill_redis(stack: ChaosStack, rng: random.Random) -> str:
    """No memory for anything new, for a while."""
    redis = Redis.from_url(stack.redis_url)
    try:
        await redis.config_set("maxmemory", "1mb")
        await asyncio.sleep(rng.uniform(0.5, 2.5))
        await redis.config_set("maxmemory", "0")
    finally:
        await redis.aclose()
    return "redis"


async def slow_redis(stack: ChaosStack, rng: random.Random) -> str:
    return await _slow(stack.proxy, rng)


async def cut_redis(stack: ChaosStack, rng: random.Random) -> str:
    return await _cut(stack.proxy, rng)


async def kill_triton(stack: ChaosStack, rng: random.Random) -> str:
    assert stack.triton is not None
    return await _kill(stack.triton, rng)


async def kill_stub(stack: ChaosStack, rng: random.Random) -> str:
    """Triton stays "ready"; whoever runs it starts it again a little later."""
    assert stack.triton is not None
    assert stack.triton.child is not None
    stub = rng.choice(_stubs(stack.triton.child.process.pid))
    os.kill(stub, signal.SIGKILL)
    await asyncio.sleep(rng.uniform(2, 6))
    stack.triton.stop()
    await stack.triton.start()
    return f"stub {stub}"


async def slow_triton(stack: ChaosStack, rng: random.Random) -> str:
    assert stack.triton_proxy is not None
    return await _slow(stack.triton_proxy, rng)


async def cut_triton(stack: ChaosStack, rng: random.Random) -> str:
    assert stack.triton_proxy is not None
    return await _cut(stack.triton_proxy, rng)


async def _slow(proxy: Proxy, rng: random.Random) -> str:
    delay = proxy.delay_seconds = rng.uniform(0.02, 0.4)
    proxy.bytes_per_second = rng.choice([None, 200_000.0])
    await asyncio.sleep(rng.uniform(1, 3))
    proxy.heal()
    return f"{delay:.2f} s late"


async def _cut(proxy: Proxy, rng: random.Random) -> str:
    proxy.refuses = rng.random() < 0.5
    proxy.cut()
    await asyncio.sleep(rng.uniform(0, 2))
    proxy.heal()
    return "all connections"


async def _leases(redis: Redis) -> dict[str, int]:
    """How many leases each job that has not ended has had."""
    found = {}
    for job in await redis.zrange("nfig:outstanding", 0, -1):
        assert isinstance(job, bytes)
        attempts = await redis.hget(f"nfig:job:{job.decode()}", "attempts")
        found[job.decode()] = int(attempts or 0)
    return found


def _stubs(group: int) -> list[int]:
    """The processes of Triton's group that run a model."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            if b"triton_python_backend_stub" in command and os.getpgid(int(folder.name)) == group:
                found.append(int(folder.name))
        except OSError:
            continue  # it has just ended
    return sorted(found)


FAKE: Mapping[str, Harm] = {
    harm.__name__.replace("_", "-"): harm
    for harm in (
        kill_worker,
        stop_worker,
        pause_worker,
        race_for_takeover,
        jump_clock,
        kill_gateway,
        stop_gateway,
        restart_rolling,
        pause_gateway,
        stop_reading,
        kill_redis,
        stop_redis,
        pause_redis,
        fill_redis,
        slow_redis,
        cut_redis,
    )
}
TRITON: Mapping[str, Harm] = {
    **{name: harm for name, harm in FAKE.items() if name != "jump-clock"},
    "kill-triton": kill_triton,
    "kill-stub": kill_stub,
    "slow-triton": slow_triton,
    "cut-triton": cut_triton,
}


async def do_harm(
    stack: ChaosStack,
    harms: Mapping[str, Harm],
    *,
    rounds: int,
    rng: random.Random,
    recover: Callable[[], Awaitable[None]],
) -> Sequence[Fault]:
    """Every kind once a round. `recover` returns when the service draws again."""
    faults: list[Fault] = []
    for _ in range(rounds):
        for kind in rng.sample(sorted(harms), len(harms)):
            await asyncio.sleep(rng.uniform(*REST_SECONDS))
            at = time.time()
            target = await harms[kind](stack, rng)
            over = time.time()
            await recover()
            fault = Fault(at=at, kind=kind, target=target, over=over, recovered=time.time())
            faults.append(fault)
    return faults
