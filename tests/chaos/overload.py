"""`python -m tests.chaos.overload`: what becomes of more work than there is capacity for.

Measures how many jobs per second the stack completes when its callers wait for each other, then
sends jobs at fixed rates, whether or not earlier ones have ended. Promised: completed work stays at
90 % of capacity or more, admitted jobs keep a bounded p99, the rest is refused within 50 ms. The
callers need a core of their own, or their own waiting is measured too.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.chaos.stack import StackOptions, running

BODY = {"class_label": 1, "seed": 7}
WAIT = {"prefer": "wait=60"}
FACTORS = (0.5, 1.0, 2.0, 5.0)
CALLERS = 32
"""Of the closed loop: more than there are places to draw at."""
DEPTH = 64


@dataclass(frozen=True, kw_only=True)
class Outcome:
    status: int
    sent: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.sent


class Callers:
    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = urls
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=200)
        self.http = httpx.AsyncClient(timeout=90, limits=limits)

    async def one(self) -> Outcome:
        url = f"{random.choice(self._urls)}/v1/jobs"
        sent = time.perf_counter()
        answer = await self.http.post(url, json=BODY, headers=WAIT)
        return Outcome(status=answer.status_code, sent=sent, ended=time.perf_counter())

    async def capacity(self, seconds: float) -> float:
        """Jobs per second of callers who wait for each other."""
        until = time.perf_counter() + seconds

        async def loop() -> list[Outcome]:
            outcomes = []
            while time.perf_counter() < until:
                outcomes.append(await self.one())
            return outcomes

        loops = await asyncio.gather(*(loop() for _ in range(CALLERS)))
        ends = sorted(outcome.ended for outcomes in loops for outcome in outcomes)
        middle = ends[len(ends) // 5 : -len(ends) // 5]  # without the first and the last wave
        return (len(middle) - 1) / (middle[-1] - middle[0])

    async def at(self, rate: float, seconds: float) -> list[Outcome]:
        """Arrivals by chance, so many per second on average."""
        calls = []
        began = at = time.perf_counter()
        while at < began + seconds:
            at += random.expovariate(rate)
            await asyncio.sleep(max(0.0, at - time.perf_counter()))
            calls.append(asyncio.create_task(self.one()))
        return list(await asyncio.gather(*calls))


def row(factor: float, capacity: float, outcomes: Sequence[Outcome], seconds: float) -> str:
    served = sorted(each.seconds for each in outcomes if each.status == 200)
    refused = sorted(each.seconds for each in outcomes if each.status in (429, 503))
    until = min(each.sent for each in outcomes) + seconds
    # The second half, when the queue is as long as it gets.
    done = sum(
        each.status == 200 and until - seconds / 2 < each.ended <= until for each in outcomes
    )
    share = done / (seconds / 2) / capacity
    return (
        f"{factor:4.1f}  {len(outcomes):6}  {share:8.0%}  {_high(served):9.3f}  "
        f"{len(refused):7}  {1000 * _high(refused):11.1f}"
    )


def _high(values: Sequence[float]) -> float:
    """The 99th percentile."""
    return values[int(0.99 * (len(values) - 1))] if values else float("nan")


async def measure(seconds: float, band_seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="nfig-overload-") as folder:
        options = StackOptions(
            folder=Path(folder),
            band_seconds=band_seconds,
            settings={"NFIG_MAX_QUEUE_DEPTH": DEPTH, "NFIG_LEASE_SECONDS": 15},
        )
        async with running(options) as stack:
            callers = Callers(stack.urls)
            async with callers.http:
                capacity = await callers.capacity(seconds)
                print(f"capacity {capacity:.1f} jobs/s; {DEPTH} jobs are let in at most")
                print("load    sent  of capacity  p99 in s  refused  p99 of it, ms", flush=True)
                for factor in FACTORS:
                    outcomes = await callers.at(factor * capacity, seconds)
                    print(row(factor, capacity, outcomes, seconds), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="at each rate")
    parser.add_argument("--band-seconds", type=float, default=0.1, help="of the fake engine")
    options = parser.parse_args()
    asyncio.run(measure(options.seconds, options.band_seconds))


if __name__ == "__main__":
    main()
