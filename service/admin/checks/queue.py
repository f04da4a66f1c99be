"""The Redis that is there: fit to hold accepted jobs, and who works on them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from service.admin.checks.findings import Finding, Part
from service.errors import ServiceError
from service.jobs.redis_inspection import RedisFacts
from service.jobs.redis_queue import RedisQueue
from service.settings import QueueSettings

PART = Part("Redis")
SKEW_SECONDS = 1.0
"""Deadlines run on Redis' clock, so this much does no harm; log lines are hard to put in order."""
BAD_SKEW_SECONDS = 30.0
FULL = 0.9
"""Of the memory that admission allows."""


async def check_queue(settings: QueueSettings) -> AsyncIterator[Finding]:
    try:
        queue = RedisQueue.from_settings(settings)
    except ValueError as error:
        yield PART.failure(str(error))
        return
    try:
        await queue.require_usable()
        facts = await queue.facts()
        for finding in judge(facts, has_own_limit=settings.queue_memory_bytes > 0):
            yield finding
        async for finding in _who_works(queue):
            yield finding
    except ValueError as error:
        yield PART.failure(f"NFIG_REDIS_URL: {error}")
    except ServiceError as error:
        yield PART.failure(error.message)
    finally:
        await queue.close()


def judge(facts: RedisFacts, *, has_own_limit: bool) -> Iterator[Finding]:
    """What its facts mean for jobs; `has_own_limit` says that NFIG_QUEUE_MEMORY_BYTES is set."""
    yield PART.passed(f"answers, version {facts.version}")
    if facts.is_cluster:
        yield PART.failure("is a cluster: scripts touch several keys at once")
    if facts.role == "master":
        yield PART.passed("is a primary")
    else:
        yield PART.failure(f"is a {facts.role}, which cannot be written to")
    if not facts.keeps_a_log:
        yield PART.warning("appendonly is off: accepted jobs are lost when it restarts")
    elif facts.log_is_written:
        yield PART.passed("appendonly is on")
    else:
        yield PART.failure("could not write its append-only file: is the disk full?")
    yield _memory(facts, has_own_limit)
    yield _eviction(facts)
    yield _clock(facts.clock_ahead_seconds)


def _memory(facts: RedisFacts, has_own_limit: bool) -> Finding:
    if facts.maxmemory_bytes:
        text = f"maxmemory is {facts.maxmemory_bytes} bytes, {facts.used_bytes} are used"
        return PART.passed(text)
    if has_own_limit:
        return PART.passed("has no maxmemory; NFIG_QUEUE_MEMORY_BYTES is the limit")
    return PART.warning(
        "has no maxmemory and NFIG_QUEUE_MEMORY_BYTES is 0: jobs are refused by their number alone"
    )


def _eviction(facts: RedisFacts) -> Finding:
    if facts.eviction == "noeviction":
        return PART.passed("maxmemory-policy is noeviction")
    text = f"maxmemory-policy is {facts.eviction}: accepted jobs may be thrown away"
    return PART.failure(text) if facts.maxmemory_bytes else PART.warning(text)


def _clock(ahead: float) -> Finding:
    text = f"its clock and this machine's are {abs(ahead):.2f} s apart"
    if abs(ahead) <= SKEW_SECONDS:
        return PART.passed(text)
    return PART.failure(text) if abs(ahead) > BAD_SKEW_SECONDS else PART.warning(text)


async def _who_works(queue: RedisQueue) -> AsyncIterator[Finding]:
    memory = await queue.memory()
    if memory.most is not None and memory.used + memory.promised > FULL * memory.most:
        yield PART.warning(f"nine tenths of the {memory.most} bytes for jobs are used or promised")
    workers = await queue.workers()
    ready = sum(worker.engine_ready for worker in workers)
    if ready:
        yield PART.passed(f"{ready} of {len(workers)} workers can draw")
    else:
        yield PART.warning(f"none of {len(workers)} workers can draw")
    if letters := await queue.dead_letters():
        yield PART.warning(f"{len(letters)} dead jobs: see nfig-admin jobs dead")
