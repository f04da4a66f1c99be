"""The queue in Redis (7.0 or later): streams, and one Lua script for every transition.

A job is pending in its model's stream for as long as it is leased; a lease is prolonged by
claiming the entry anew, and lapses when the entry has been idle for `lease_seconds`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Self

from redis.asyncio import Redis

from service.domain import (
    BandCompleted,
    GenerationRequest,
    ImageCompleted,
    Job,
    JobCancelled,
    JobQueued,
    JobState,
    LoggedEvent,
    ModelCard,
    TerminalEvent,
    is_terminal,
)
from service.errors import JobLost, NotFound, QueueFull
from service.jobs import codec
from service.jobs.keys import GROUP, Keys
from service.jobs.progress import FAILED_BY_ATTEMPTS, progress_of, state_after
from service.jobs.queue import Lease, QueueLimits, WorkerStatus
from service.jobs.redis_connection import connect, unavailable
from service.jobs.redis_scripts import Scripts
from service.settings import QueueSettings

BLOCK_SECONDS = 0.5
"""Longest wait in one command, well under the socket timeout."""


class RedisQueue:
    """`JobQueue` on one Redis."""

    def __init__(self, redis: Redis, *, name: str, limits: QueueLimits) -> None:
        # The client's own types leave open which of three shapes an answer has.
        self._redis: Any = redis
        self._keys = Keys(prefix=name)
        self._limits = limits
        self._scripts = Scripts(redis)
        self._retention_ms = int(limits.retention_seconds * 1000)

    @classmethod
    def from_settings(cls, settings: QueueSettings) -> Self:
        """Connects when first used."""
        limits = QueueLimits(
            max_depth=settings.max_queue_depth,
            lease_seconds=settings.lease_seconds,
            max_attempts=settings.max_attempts,
            retention_seconds=settings.retention_seconds,
        )
        return cls(connect(settings.redis_url), name=settings.queue_name, limits=limits)

    async def ping(self) -> None:
        with unavailable():
            await self._redis.ping()

    async def submit(self, request: GenerationRequest) -> Job:
        job_id = uuid.uuid4().hex
        keys = self._keys
        with unavailable():
            answer = await self._scripts.submit(
                keys=[
                    keys.job(job_id),
                    keys.log(job_id),
                    keys.waiting(request.model),
                    keys.outstanding,
                ],
                args=[
                    job_id,
                    codec.encode(request),
                    request.model,
                    codec.encode_event(JobQueued()),
                    self._limits.max_depth,
                ],
            )
        if not answer:
            raise QueueFull(f"the queue holds its {self._limits.max_depth} jobs", retry_after_s=1.0)
        return Job(
            id=job_id, request=request, state=JobState.QUEUED, created_at=int(answer[0]) / 1e6
        )

    async def job(self, job_id: str) -> Job:
        names = ("request", "state", "created", "attempts")
        with unavailable():
            facts = await self._redis.hmget(self._keys.job(job_id), names)
        if facts[0] is None:
            raise NotFound(f"there is no job {job_id}", field="job_id")
        return Job(
            id=job_id,
            request=codec.decode_request(facts[0]),
            state=JobState(facts[1].decode()),
            created_at=int(facts[2]) / 1e6,
            attempts=int(facts[3]),
        )

    async def events(self, job_id: str, *, after: str = "0") -> AsyncGenerator[LoggedEvent]:
        log = self._keys.log(job_id)
        while True:
            with unavailable():
                answer = await self._redis.xread(
                    {log: after}, count=100, block=int(BLOCK_SECONDS * 1000)
                )
            if not answer:
                await self.job(job_id)
                continue
            for entry_id, fields in answer[0][1]:
                after = entry_id.decode()
                event = codec.decode_event(fields[b"event"])
                yield LoggedEvent(id=after, at=int(after.split("-")[0]) / 1e3, event=event)
                if is_terminal(event):
                    return

    async def picture(self, job_id: str, digest: str) -> bytes:
        with unavailable():
            content: bytes | None = await self._redis.get(self._keys.picture(job_id, digest))
        if content is None:
            raise NotFound(f"job {job_id} has no picture {digest}", field="digest")
        return content

    async def cancel(self, job_id: str) -> None:
        keys = self._keys
        model = (await self.job(job_id)).request.model
        with unavailable():
            answer = await self._scripts.cancel(
                keys=[keys.job(job_id), keys.log(job_id), keys.waiting(model), keys.outstanding],
                args=[GROUP, job_id, codec.encode_event(JobCancelled()), self._retention_ms],
            )
        if answer == b"missing":
            raise NotFound(f"there is no job {job_id}", field="job_id")

    async def depth(self) -> int:
        with unavailable():
            return int(await self._redis.zcard(self._keys.outstanding))

    async def models(self) -> Sequence[ModelCard]:
        with unavailable():
            cards = await self._redis.hgetall(self._keys.models)
        return [codec.decode_card(card) for _, card in sorted(cards.items())]

    async def workers(self) -> Sequence[WorkerStatus]:
        with unavailable():
            pattern = self._keys.worker_prefix + "*"
            keys = [key async for key in self._redis.scan_iter(match=pattern, count=1000)]
            found = await self._redis.mget(sorted(keys)) if keys else []
        return [codec.decode_worker(text) for text in found if text is not None]

    async def register_model(self, card: ModelCard) -> None:
        with unavailable():
            await self._redis.hset(self._keys.models, card.id, codec.encode(card))

    async def heartbeat(self, status: WorkerStatus, *, ttl_seconds: float) -> None:
        with unavailable():
            await self._redis.set(
                self._keys.worker(status.worker_id),
                codec.encode(status),
                px=int(ttl_seconds * 1000),
            )

    async def lease(
        self, worker_id: str, *, model: str, count: int, wait_seconds: float
    ) -> Sequence[Lease]:
        deadline = time.monotonic() + wait_seconds
        while True:
            leases, newest = await self._lease_now(worker_id, model=model, count=count)
            left = deadline - time.monotonic()
            if leases or left <= 0:
                return leases
            await self._wait_for_entry(model, after=newest, seconds=min(left, BLOCK_SECONDS))

    async def renew(self, lease: Lease) -> bool:
        job = lease.job
        with unavailable():
            answer = await self._scripts.renew(
                keys=[self._keys.job(job.id), self._keys.waiting(job.request.model)],
                args=[lease.epoch, GROUP, lease.worker_id],
            )
        return _cancel_wanted(answer, lease)

    async def publish(
        self,
        lease: Lease,
        event: BandCompleted | ImageCompleted,
        *,
        pictures: Mapping[str, bytes],
    ) -> bool:
        job_id, keys = lease.job.id, self._keys
        with unavailable():
            answer = await self._scripts.publish(
                keys=[
                    keys.job(job_id),
                    keys.log(job_id),
                    *(keys.picture(job_id, digest) for digest in pictures),
                ],
                args=[
                    lease.epoch,
                    event.image_index,
                    progress_of(event),
                    codec.encode_event(event),
                    self._retention_ms,
                    *pictures.values(),
                ],
            )
        return _cancel_wanted(answer, lease)

    async def finish(self, lease: Lease, event: TerminalEvent) -> None:
        job, keys = lease.job, self._keys
        with unavailable():
            answer = await self._scripts.finish(
                keys=[
                    keys.job(job.id),
                    keys.log(job.id),
                    keys.waiting(job.request.model),
                    keys.outstanding,
                ],
                args=[
                    lease.epoch,
                    GROUP,
                    job.id,
                    state_after(event).value,
                    codec.encode_event(event),
                    self._retention_ms,
                ],
            )
        _cancel_wanted(answer, lease)

    async def hand_back(self, lease: Lease) -> None:
        job = lease.job
        with unavailable():
            answer = await self._scripts.hand_back(
                keys=[self._keys.job(job.id), self._keys.waiting(job.request.model)],
                args=[lease.epoch, GROUP, lease.worker_id],
            )
        _cancel_wanted(answer, lease)

    async def close(self) -> None:
        await self._redis.aclose()

    async def _lease_now(
        self, worker_id: str, *, model: str, count: int
    ) -> tuple[list[Lease], str]:
        keys = self._keys
        with unavailable():
            found, newest = await self._scripts.lease(
                keys=[keys.waiting(model), keys.outstanding],
                args=[
                    GROUP,
                    worker_id,
                    count,
                    int(self._limits.lease_seconds * 1000),
                    self._limits.max_attempts,
                    keys.job_prefix,
                    self._retention_ms,
                    codec.started_template(),
                    codec.encode_event(FAILED_BY_ATTEMPTS),
                    codec.encode_event(JobCancelled()),
                ],
            )
        leases = [
            Lease(
                job=Job(
                    id=job_id.decode(),
                    request=codec.decode_request(request),
                    state=JobState.RUNNING,
                    created_at=int(created) / 1e6,
                    attempts=attempts,
                ),
                worker_id=worker_id,
                epoch=epoch,
            )
            for job_id, request, created, epoch, attempts in found
        ]
        return leases, newest.decode()

    async def _wait_for_entry(self, model: str, *, after: str, seconds: float) -> None:
        """Until a job is added, or the time is up. Takes nothing, so nothing can be lost here."""
        with unavailable():
            await self._redis.xread(
                {self._keys.waiting(model): after}, count=1, block=int(seconds * 1000) + 1
            )


def _cancel_wanted(answer: bytes, lease: Lease) -> bool:
    if answer == b"lost":
        raise JobLost(f"job {lease.job.id} is no longer held by {lease.worker_id}")
    return answer == b"cancel"
