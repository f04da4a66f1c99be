"""One run: the load, the faults, and then the audit of all that is stored."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from redis.asyncio import Redis

from tests.chaos import history as histories
from tests.chaos.clients import Clients
from tests.chaos.history import AUDIT, Fault, History, Seen, Stalled, Stored, Undisturbed
from tests.chaos.laws import ALWAYS, SIGNED, counts, violations
from tests.chaos.nemesis import Harm, do_harm
from tests.chaos.stack import ChaosStack, StackOptions, running, until_ready
from tests.chaos.wishes import SHAPES, START_WITHIN_MS

QUIET_SECONDS = 90.0
"""By when all jobs must have ended after the last fault."""

AUDITED_AT_ONCE = 16
AUDIT_SECONDS = 10.0
"""For reading a log that is whole."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    seed: int
    rounds: int
    harms: Mapping[str, Harm]
    callers: int = 6
    least_jobs: int = 0
    """The load goes on until so many jobs are stored, should the faults be over sooner."""


@dataclass(frozen=True, kw_only=True)
class Report:
    history: History
    violations: Sequence[str]
    seconds: float
    file: Path

    def text(self) -> str:
        """Counts, recovery by kind of fault, and what is wrong."""
        lines = [f"{self.seconds:.0f} s", *self._counts(), *self._recovery()]
        lines += [f"history: {self.file}", f"{len(self.violations)} violations"]
        return "\n".join([*lines, *self.violations[:20]])

    def _counts(self) -> Sequence[str]:
        found = counts(self.history)
        stalls = len(self.history.of(Stalled))
        return (
            "{sent} requests ({over http} over http, {over grpc} over grpc) = {accepted} accepted"
            " + {refused} refused + {unknown} unknown".format_map(found),
            "{accepted} accepted = {completed} completed + {failed} failed"
            " + {cancelled} cancelled".format_map(found),
            f"callers of the load paused reading {stalls} times",
        )

    def _recovery(self) -> Sequence[str]:
        by_kind: defaultdict[str, list[float]] = defaultdict(list)
        for fault in self.history.of(Fault):
            by_kind[fault.kind].append(fault.recovered - fault.over)
        return [
            f"{kind:18} {len(seconds):3} times; drew again after "
            f"{sorted(seconds)[len(seconds) // 2]:.1f} s, {max(seconds):.1f} s at most"
            for kind, seconds in sorted(by_kind.items())
        ]


async def run(plan: Plan, options: StackOptions) -> Report:
    """Raises TimeoutError if the service does not come back."""
    rng = random.Random(plan.seed)
    file = options.folder / "history.jsonl"
    began = time.monotonic()
    async with running(options) as stack:
        clients = Clients(stack.urls, stack.grpc_addresses, random.Random(rng.getrandbits(64)))
        callers: list[asyncio.Task[None]] = []
        try:
            await _undisturbed(clients)
            stop = asyncio.Event()
            callers += [asyncio.create_task(clients.go_on(stop)) for _ in range(plan.callers)]
            faults = await do_harm(
                stack,
                plan.harms,
                rounds=plan.rounds,
                rng=rng,
                recover=lambda: _recovered(stack, clients),
            )
            await _until_enough(stack, plan.least_jobs)
            stop.set()
            await asyncio.gather(*callers)
            await _audit(stack, clients)
        finally:
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
            await clients.close()
            histories.write(clients.records, file)
    found = History([*clients.records, *faults])
    histories.write(found.records, file)
    laws = SIGNED if options.repository is None else ALWAYS
    return Report(
        history=found,
        violations=violations(found, laws),
        seconds=time.monotonic() - began,
        file=file,
    )


async def _undisturbed(clients: Clients) -> None:
    """Every request once, while all is well."""
    jobs = await asyncio.gather(*(clients.undisturbed(shape) for shape in SHAPES))
    shapes = dict(zip(jobs, SHAPES, strict=True))
    for seen in [each for each in clients.records if isinstance(each, Seen)]:
        if seen.name == "band.completed":
            data = seen.data
            band = Undisturbed(
                shape=shapes[seen.job],
                image=data["image_index"],
                band=data["band"],
                digest=data["token_digest"],
            )
            clients.records.append(band)


async def _recovered(stack: ChaosStack, clients: Clients) -> None:
    await until_ready(stack)
    async with asyncio.timeout(QUIET_SECONDS):
        while not await clients.draws():
            await asyncio.sleep(0.1)


async def _until_enough(stack: ChaosStack, jobs: int) -> None:
    while len(await _stored(stack)) < jobs:
        await asyncio.sleep(2)


async def _audit(stack: ChaosStack, clients: Clients) -> None:
    """Reads every stored job and its whole log, once nothing is outstanding."""
    redis = Redis.from_url(stack.redis_url)
    try:
        with suppress(TimeoutError):  # what has not ended by then breaks a law
            async with asyncio.timeout(QUIET_SECONDS):
                while await redis.zcard("nfig:outstanding"):
                    await asyncio.sleep(0.2)
    finally:
        await redis.aclose()
    # Between two jobs a kept connection may be closed by the gateway, just as it is used again.
    fresh = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=stack.urls[0], timeout=30, limits=fresh) as http:
        jobs = await _stored(stack)
        for first in range(0, len(jobs), AUDITED_AT_ONCE):
            some = jobs[first : first + AUDITED_AT_ONCE]
            await asyncio.gather(*(_audit_one(http, clients, job) for job in some))


async def _audit_one(http: httpx.AsyncClient, clients: Clients, job: str) -> None:
    shapes = {(each.class_label, each.seed, each.keep): name for name, each in SHAPES.items()}
    status = json.loads((await http.get(f"/v1/jobs/{job}")).content)
    shape = shapes[status["class_label"], status["seed"], status["keep_bands"]]
    request = status["start_within_ms"] - START_WITHIN_MS
    clients.records.append(Stored(job=job, state=status["state"], shape=shape, request=request))
    await clients.watch(job, name=AUDIT, seconds=AUDIT_SECONDS)
    for image in status["images"]:
        if "digest" in image:
            await clients.fetch(job, image["image_index"])


async def _stored(stack: ChaosStack) -> Sequence[str]:
    """Ids of the jobs that Redis has."""
    redis = Redis.from_url(stack.redis_url)
    try:
        names = [key.decode() async for key in redis.scan_iter("nfig:job:*", count=1000)]
    finally:
        await redis.aclose()
    # What belongs to a job has a suffix after its id.
    return sorted({name.split(":")[2] for name in names if name.count(":") == 2})
