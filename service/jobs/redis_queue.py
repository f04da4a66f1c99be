"""The queue in Redis (7.0 or later): streams, and one Lua script for every transition.

A job is pending in its model's stream for as long as it is leased; a lease is prolonged by
claiming the entry anew, and lapses when the entry has been idle for `lease_seconds`.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from itertools import chain
from typing import Any, Self

from redis.asyncio import Redis

from service.domain import (
    BandCompleted,
    GenerationRequest,
    ImageCompleted,
    Job,
    JobCancelled,
    LoggedEvent,
    ModelCard,
    TerminalEvent,
)
from service.errors import NotFound
from service.jobs import codec
from service.jobs.keys import GROUP, LOG_SUFFIX, PICTURES_SUFFIX, Keys
from service.jobs.progress import (
    FAILED_BY_ATTEMPTS,
    NOT_STARTED,
    UNREADABLE,
    key_conflict,
    progress_of,
    state_after,
)
from service.jobs.queue import (
    ANYBODY,
    MAX_POSITION,
    MODEL_TTL_SECONDS,
    Backlog,
    IdempotencyKey,
    Lease,
    Owner,
    QueueLimits,
    Submission,
    WorkerStatus,
)
from service.jobs.redis_answers import cancel_wanted, job_of, lease_of
from service.jobs.redis_connection import connect, unavailable
from service.jobs.redis_log import RedisLog
from service.jobs.redis_reader import BLOCK_SECONDS
from service.jobs.redis_registry import RedisRegistry
from service.jobs.redis_scripts import Scripts
from service.jobs.redis_submissions import RedisSubmissions
from service.jobs.redis_uploads import RedisUploads
from service.jobs.request_budget import RequestBudget, budget, interval_us
from service.settings import QueueSettings

logger = logging.getLogger(__name__)


class RedisQueue:
    """`JobQueue` on one Redis."""

    def __init__(self, redis: Redis, *, name: str, limits: QueueLimits) -> None:
        # The client's own types leave open which of three shapes an answer has.
        self._redis: Any = redis
        self._keys = Keys(prefix=name)
        self._limits = limits
        self._scripts = Scripts(redis)
        self._retention_ms = int(limits.retention_seconds * 1000)
        self._log = RedisLog(redis, self._keys)
        self._submissions = RedisSubmissions(self._scripts, self._keys, limits)
        self._uploads = RedisUploads(redis, self._keys, ttl_seconds=limits.upload_seconds)
        self._models = RedisRegistry(self._scripts, self._keys.models)
        self._workers = RedisRegistry(self._scripts, self._keys.workers)

    @classmethod
    def from_settings(cls, settings: QueueSettings) -> Self:
        """Connects when first used."""
        limits = QueueLimits(
            max_depth=settings.max_queue_depth,
            extra_depth=settings.brownout_extra_depth,
            lease_seconds=settings.lease_seconds,
            max_attempts=settings.max_attempts,
            retention_seconds=settings.retention_seconds,
        )
        return cls(connect(settings.redis_url), name=settings.queue_name, limits=limits)

    async def ping(self) -> None:
        with unavailable():
            await self._redis.ping()

    async def submit(
        self,
        request: GenerationRequest,
        *,
        owner: Owner = ANYBODY,
        upload: bytes | None = None,
    ) -> Job:
        job_id = uuid.uuid4().hex
        async with self._uploads.kept_for(job_id, upload):
            return (await self._submissions.submit(job_id, request, owner=owner)).job

    async def submit_once(
        self, request: GenerationRequest, once: IdempotencyKey | None, *, owner: Owner = ANYBODY
    ) -> Submission:
        job_id = uuid.uuid4().hex
        return await self._submissions.submit(job_id, request, owner=owner, once=once)

    async def submitted(self, once: IdempotencyKey, *, tenant: str) -> Job | None:
        key = self._keys.idempotency(tenant, once.key)
        with unavailable():
            job_id, fingerprint = await self._redis.hmget(key, ("job", "fingerprint"))
        if job_id is None:
            return None
        try:
            job = await self.job(job_id.decode())
        except NotFound:
            return None
        if fingerprint.decode() != once.fingerprint:
            raise key_conflict()
        return job

    async def count_request(self, tenant: str, *, per_minute: int) -> RequestBudget:
        with unavailable():
            allowed, full_at, now = await self._scripts.count_request(
                keys=[self._keys.requests(tenant)], args=[per_minute, interval_us(per_minute)]
            )
        return budget(int(full_at), int(now), per_minute=per_minute, allowed=bool(allowed))

    async def job(self, job_id: str) -> Job:
        names = ("request", "state", "created", "attempts", "tenant")
        with unavailable():
            facts = await self._redis.hmget(self._keys.job(job_id), names)
        if facts[0] is None:
            raise NotFound(f"there is no job {job_id}", field="job_id")
        return job_of(job_id, *facts)

    def events(self, job_id: str, *, after: str = "0") -> AsyncGenerator[LoggedEvent]:
        return self._log.events(job_id, after=after)

    async def history(self, job_id: str) -> Sequence[LoggedEvent]:
        return await self._log.history(job_id)

    async def position(self, job_id: str) -> int | None:
        with unavailable():
            answer = await self._scripts.position(
                keys=[self._keys.job(job_id)],
                args=[GROUP, MAX_POSITION, self._keys.waiting_prefix],
            )
        if answer == -2:
            raise NotFound(f"there is no job {job_id}", field="job_id")
        return None if answer < 0 else int(answer)

    async def backlog(self, model: str) -> Backlog:
        with unavailable():
            waiting, running = await self._scripts.backlog(
                keys=[self._keys.waiting(model)], args=[GROUP, MAX_POSITION]
            )
        return Backlog(waiting=int(waiting), running=int(running))

    async def picture(self, job_id: str, digest: str) -> bytes:
        with unavailable():
            content: bytes | None = await self._redis.hget(self._keys.pictures(job_id), digest)
        if content is None:
            raise NotFound(f"job {job_id} has no picture {digest}", field="digest")
        return content

    async def cancel(self, job_id: str) -> None:
        model = (await self.job(job_id)).request.model
        with unavailable():
            answer = await self._scripts.cancel(
                keys=self._keys_to_end(job_id, model),
                args=[GROUP, job_id, codec.encode_event(JobCancelled()), self._retention_ms],
            )
        if answer == b"missing":
            raise NotFound(f"there is no job {job_id}", field="job_id")

    async def depth(self) -> int:
        with unavailable():
            return int(await self._redis.zcard(self._keys.outstanding))

    async def models(self) -> Sequence[ModelCard]:
        cards = [codec.decode_card(text) for text in await self._models.texts()]
        return sorted(cards, key=lambda card: card.id)

    async def workers(self) -> Sequence[WorkerStatus]:
        workers = [codec.decode_worker(text) for text in await self._workers.texts()]
        return sorted(workers, key=lambda worker: worker.worker_id)

    async def register_model(self, card: ModelCard) -> None:
        await self._models.put(card.id, codec.encode(card), ttl_seconds=MODEL_TTL_SECONDS)

    async def heartbeat(self, status: WorkerStatus, *, ttl_seconds: float) -> None:
        text = codec.encode(status)
        await self._workers.put(status.worker_id, text, ttl_seconds=ttl_seconds)

    async def fail_late(self, model: str) -> None:
        keys = self._keys
        with unavailable():
            await self._scripts.fail_late(
                keys=[keys.waiting(model), keys.outstanding],
                args=[
                    GROUP,
                    self._retention_ms,
                    keys.job_prefix,
                    LOG_SUFFIX,
                    PICTURES_SUFFIX,
                    codec.encode_event(NOT_STARTED),
                ],
            )

    async def sign_off(self, worker_id: str) -> None:
        await self._workers.drop(worker_id)

    async def lease(
        self,
        worker_id: str,
        *,
        model: str,
        count: int,
        wait_seconds: float,
        max_bands: int | None = None,
    ) -> Sequence[Lease]:
        deadline = time.monotonic() + wait_seconds
        while True:
            leases, newest = await self._lease_now(worker_id, model, count, max_bands)
            left = deadline - time.monotonic()
            if leases or left <= 0:
                return leases
            await self._wait_for_entry(model, after=newest, seconds=min(left, BLOCK_SECONDS))

    async def upload(self, job_id: str) -> bytes:
        return await self._uploads.read(job_id)

    async def renew(self, lease: Lease) -> bool:
        job = lease.job
        with unavailable():
            answer = await self._scripts.renew(
                keys=[self._keys.job(job.id), self._keys.waiting(job.request.model)],
                args=[lease.epoch, GROUP, lease.worker_id],
            )
        return cancel_wanted(answer, lease)

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
                keys=[keys.job(job_id), keys.log(job_id), keys.pictures(job_id)],
                args=[
                    lease.epoch,
                    event.image_index,
                    progress_of(event),
                    codec.encode_event(event),
                    *chain.from_iterable(pictures.items()),
                ],
            )
        return cancel_wanted(answer, lease)

    async def finish(self, lease: Lease, event: TerminalEvent) -> None:
        job = lease.job
        answer = await self._finish(job.id, job.request.model, lease.epoch, event)
        cancel_wanted(answer, lease)

    async def _finish(self, job_id: str, model: str, epoch: int, event: TerminalEvent) -> bytes:
        with unavailable():
            answer: bytes = await self._scripts.finish(
                keys=self._keys_to_end(job_id, model),
                args=[
                    epoch,
                    GROUP,
                    job_id,
                    state_after(event).value,
                    codec.encode_event(event),
                    self._retention_ms,
                ],
            )
        return answer

    async def hand_back(self, lease: Lease) -> None:
        job = lease.job
        with unavailable():
            answer = await self._scripts.hand_back(
                keys=[self._keys.job(job.id), self._keys.waiting(job.request.model)],
                args=[lease.epoch, GROUP, lease.worker_id],
            )
        cancel_wanted(answer, lease)

    async def close(self) -> None:
        await self._log.close()
        await self._redis.aclose()

    async def _lease_now(
        self, worker_id: str, model: str, count: int, max_bands: int | None
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
                    self._retention_ms,
                    keys.job_prefix,
                    LOG_SUFFIX,
                    PICTURES_SUFFIX,
                    codec.started_template(),
                    codec.encode_event(FAILED_BY_ATTEMPTS),
                    codec.encode_event(JobCancelled()),
                    codec.encode_event(NOT_STARTED),
                    max_bands or 0,
                ],
            )
        leases = []
        for facts in found:
            try:
                leases.append(lease_of(facts, worker_id=worker_id))
            except ValueError:
                # Not the worker's end: it would take the next worker with it, too.
                logger.exception("job %s cannot be read", facts[0].decode())
                await self._finish(facts[0].decode(), model, facts[3], UNREADABLE)
        return leases, newest.decode()

    async def _wait_for_entry(self, model: str, *, after: str, seconds: float) -> None:
        """Until a job is added, or the time is up. Takes nothing, so nothing can be lost here."""
        with unavailable():
            await self._redis.xread(
                {self._keys.waiting(model): after}, count=1, block=int(seconds * 1000) + 1
            )

    def _keys_to_end(self, job_id: str, model: str) -> Sequence[str]:
        """What the scripts that end a job touch."""
        keys = self._keys
        return [
            keys.job(job_id),
            keys.log(job_id),
            keys.pictures(job_id),
            keys.waiting(model),
            keys.outstanding,
        ]
