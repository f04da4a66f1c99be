"""`python -m tests.chaos.soak`: many jobs, and what is left of them.

Promised: after the first tenth of the jobs the memory of gateways, workers and Redis stays flat
within 5 %, and when the last results have expired no key of a job is left. The full run:
`python -m tests.chaos.soak --jobs 20000`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import httpx
from redis.asyncio import Redis

from tests.chaos.stack import ChaosStack, StackOptions, running

CALLERS = 16
RETENTION_SECONDS = 5.0
FLAT = 0.05
LASTING = ("nfig:models", "nfig:workers", "nfig:waiting:", "nfig:wake:", "nfig:taken:")
"""What the service keeps while it runs, whatever jobs there were."""


async def draw(stack: ChaosStack, jobs: int, http: httpx.AsyncClient) -> None:
    """So many jobs, by callers who wait for each."""
    left = iter(range(jobs))

    async def loop() -> None:
        for number in left:
            url = f"{stack.urls[number % 2]}/v1/jobs"
            body = {"class_label": number % 8, "seed": number, "previews": 2}
            answer = await http.post(url, json=body, headers={"prefer": "wait=60"})
            if answer.status_code != 200:
                raise RuntimeError(f"{answer.status_code}: {answer.text[:200]}")

    await asyncio.gather(*(loop() for _ in range(CALLERS)))


async def memory(stack: ChaosStack, redis: Redis) -> Mapping[str, int]:
    """Bytes of each part, when the results of before have expired."""
    await asyncio.sleep(RETENTION_SECONDS + 2)
    found = {"redis": int((await redis.info("memory"))["used_memory"])}
    for part in [*stack.gateways, *stack.workers]:
        assert part.child is not None
        status = Path(f"/proc/{part.child.process.pid}/status").read_text()
        found[part.name] = 1024 * int(status.partition("VmRSS:")[2].split()[0])
    return found


async def soak(jobs: int) -> bool:
    """True if the promises hold."""
    with tempfile.TemporaryDirectory(prefix="nfig-soak-") as folder:
        settings = {"NFIG_RETENTION_SECONDS": RETENTION_SECONDS, "NFIG_LEASE_SECONDS": 15}
        options = StackOptions(folder=Path(folder), band_seconds=0.0, settings=settings)
        async with (
            running(options) as stack,
            Redis.from_url(stack.redis_url) as redis,
            httpx.AsyncClient(timeout=90) as http,
        ):
            await draw(stack, jobs // 10, http)
            before = await memory(stack, redis)
            await draw(stack, jobs - jobs // 10, http)
            after = await memory(stack, redis)
            keys = [key.decode() async for key in redis.scan_iter()]
    left = sorted(key for key in keys if not key.startswith(LASTING))
    holds = not left
    print(f"{jobs} jobs; keys left: {left or 'none'}")
    for name, size in before.items():
        growth = after[name] / size - 1
        holds = holds and growth <= FLAT
        print(f"{name:10} {size / 1e6:8.1f} MB  {after[name] / 1e6:8.1f} MB  {growth:+.1%}")
    return holds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=500)
    sys.exit(not asyncio.run(soak(parser.parse_args().jobs)))


if __name__ == "__main__":
    main()
