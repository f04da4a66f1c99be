"""One run: the load, the faults, and then the audit of all that is stored."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from redis.asyncio import Redis

from tests.chaos import history as histories
from tests.chaos.clients import SHAPES, Clients
from tests.chaos.history import AUDIT, Fault, History, Seen, Stored, Undisturbed
from tests.chaos.laws import ALWAYS, SIGNED, counts, violations
from tests.chaos.nemesis import Harm, do_harm
from tests.chaos.stack import ChaosStack, StackOptions, running, until_ready

QUIET_SECONDS = 90.0
"""By when all jobs must have ended after the last fault."""


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
        found = counts(self.history)
        outcomes = ", ".join(f"{name} {number}" for name, number in found.items())
        lines = [f"{self.seconds:.0f} s; calls and jobs: {outcomes}"]
        recovery: defaultdict[str, list[float]] = defaultdict(list)
        for fault in self.history.of(Fault):
            recovery[fault.kind].append(fault.recovered - fault.over)
        for kind, seconds in sorted(recovery.items()):
            middle = sorted(seconds)[len(seconds) // 2]
            lines.append(
                f"{kind:18} {len(seconds):3} times; drew again after {middle:.1f} s, "
                f"{max(seconds):.1f} s at most"
            )
        lines += [f"history: {self.file}", f"{len(self.violations)} violations"]
        return "\n".join([*lines, *self.violations[:20]])


async def run(plan: Plan, options: StackOptions) -> Report:
    """Raises TimeoutError if the service does not come back."""
    rng = random.Random(plan.seed)
    began = time.monotonic()
    async with running(options) as stack:
        clients = Clients(stack.urls, random.Random(rng.getrandbits(64)))
        try:
            await _undisturbed(clients)
            stop = asyncio.Event()
            callers = [asyncio.create_task(clients.go_on(stop)) for _ in range(plan.callers)]
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
            await clients.close()
    file = options.folder / "history.jsonl"
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
    for shape in SHAPES:
        job = await clients.create(shape)
        assert job is not None, "refused before the first fault"
        await clients.watch(job, name="undisturbed")
        for seen in [each for each in clients.records if isinstance(each, Seen)]:
            if seen.job == job and seen.name == "band.completed":
                data = seen.data
                band = Undisturbed(
                    shape=shape,
                    image=data["image_index"],
                    band=data["band"],
                    digest=data["token_digest"],
                )
                clients.records.append(band)


async def _recovered(stack: ChaosStack, clients: Clients) -> None:
    await until_ready(stack)
    async with asyncio.timeout(QUIET_SECONDS):
        while not await clients.attached(next(iter(SHAPES))):
            await asyncio.sleep(0.1)


async def _until_enough(stack: ChaosStack, jobs: int) -> None:
    while len(await _stored(stack)) < jobs:
        await asyncio.sleep(2)


async def _audit(stack: ChaosStack, clients: Clients) -> None:
    """Reads every stored job and its whole log, once nothing is outstanding."""
    redis = Redis.from_url(stack.redis_url)
    try:
        async with asyncio.timeout(QUIET_SECONDS):
            while await redis.zcard("nfig:outstanding"):
                await asyncio.sleep(0.2)
    finally:
        await redis.aclose()
    shapes = {(each["class_label"], each["seed"]): name for name, each in SHAPES.items()}
    async with httpx.AsyncClient(base_url=stack.urls[0], timeout=30) as http:
        for job in await _stored(stack):
            status = json.loads((await http.get(f"/v1/jobs/{job}")).content)
            shape = shapes[status["class_label"], status["seed"]]
            clients.records.append(Stored(job=job, state=status["state"], shape=shape))
            await clients.watch(job, name=AUDIT)


async def _stored(stack: ChaosStack) -> Sequence[str]:
    """Ids of the jobs that Redis has."""
    redis = Redis.from_url(stack.redis_url)
    try:
        names = [key.decode() async for key in redis.scan_iter("nfig:job:*", count=1000)]
    finally:
        await redis.aclose()
    # What belongs to a job has a suffix after its id.
    return sorted({name.split(":")[2] for name in names if name.count(":") == 2})
