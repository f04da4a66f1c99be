"""What `nfig-admin jobs` does: one line per dead letter; errors end the process with a message."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from service.errors import ServiceError
from service.jobs.dead_letters import DeadLetter
from service.jobs.queue import JobQueue
from service.jobs.redis_queue import RedisQueue
from service.settings import QueueSettings, read_settings


def listed() -> Sequence[str]:
    async def lines(queue: JobQueue) -> list[str]:
        return [_line(letter) for letter in await queue.dead_letters()]

    return _with_queue(lines)


def retried(job_ids: Sequence[str] | None) -> Sequence[str]:
    """Of all, if no ids are given."""

    async def retry(queue: JobQueue, job_id: str) -> str:
        return f"{job_id} became {(await queue.retry_dead(job_id)).id}"

    return _for_each(job_ids, retry)


def dropped(job_ids: Sequence[str] | None) -> Sequence[str]:
    """Of all, if no ids are given."""

    async def drop(queue: JobQueue, job_id: str) -> str:
        await queue.drop_dead(job_id)
        return f"{job_id} is forgotten"

    return _for_each(job_ids, drop)


def _for_each(
    job_ids: Sequence[str] | None, act: Callable[[JobQueue, str], Awaitable[str]]
) -> Sequence[str]:
    async def lines(queue: JobQueue) -> list[str]:
        chosen = job_ids or [letter.job_id for letter in await queue.dead_letters()]
        return [await act(queue, job_id) for job_id in chosen]

    return _with_queue(lines)


def _with_queue(act: Callable[[JobQueue], Awaitable[list[str]]]) -> Sequence[str]:
    async def run() -> list[str]:
        queue = RedisQueue.from_settings(read_settings(QueueSettings))
        try:
            return await act(queue)
        finally:
            await queue.close()

    try:
        return asyncio.run(run())
    except (ServiceError, ValueError) as error:
        raise SystemExit(f"nfig-admin: {error}") from None


def _line(letter: DeadLetter) -> str:
    at = datetime.fromtimestamp(letter.at, UTC).isoformat(timespec="seconds")
    facts = f"{letter.tenant} attempts={letter.attempts} worker={letter.worker_id}"
    return f"{at} {letter.job_id} {facts} {letter.failure.message}"
