"""The gateway's half of the queue in Redis: to submit, to look, to cancel."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress

from service.domain import (
    PRIORITIES,
    GenerationRequest,
    Job,
    JobCancelled,
    LoggedEvent,
    ModelCard,
    Priority,
)
from service.errors import NotFound
from service.jobs import codec
from service.jobs.keys import GROUP
from service.jobs.progress import UNSERVED, key_conflict
from service.jobs.queue import (
    ANYBODY,
    MAX_POSITION,
    UNKNOWN_ORIGIN,
    Attendee,
    Backlog,
    Census,
    IdempotencyKey,
    Memory,
    Origin,
    Owner,
    Submission,
    WorkerStatus,
)
from service.jobs.redis_answers import job_of
from service.jobs.redis_failures import unavailable
from service.jobs.redis_store import RedisStore
from service.jobs.request_budget import RequestBudget, budget, interval_us

ATTENDED_AT_ONCE = 500
"""Jobs in one call, for which every other caller waits."""


class RedisGatewayVerbs(RedisStore):
    """Those of `JobQueue` that gateways use."""

    async def submit(
        self,
        request: GenerationRequest,
        *,
        owner: Owner = ANYBODY,
        upload: bytes | None = None,
        attendee: Attendee | None = None,
        footprint: int = 0,
        origin: Origin = UNKNOWN_ORIGIN,
    ) -> Job:
        job_id = uuid.uuid4().hex
        async with self._uploads.kept_for(job_id, upload):
            made = await self._submissions.submit(
                job_id,
                request,
                owner=owner,
                footprint=footprint,
                attendee=attendee,
                origin=origin,
            )
        return made.job

    async def submit_once(
        self,
        request: GenerationRequest,
        once: IdempotencyKey | None,
        *,
        owner: Owner = ANYBODY,
        footprint: int = 0,
        origin: Origin = UNKNOWN_ORIGIN,
    ) -> Submission:
        job_id = uuid.uuid4().hex
        return await self._submissions.submit(
            job_id, request, owner=owner, once=once, footprint=footprint, origin=origin
        )

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
            reads = self._redis.pipeline(transaction=False)
            reads.hmget(self._keys.job(job_id), names)
            reads.exists(self._keys.attendance(job_id))
            facts, attached = await reads.execute()
        if facts[0] is None:
            raise NotFound(f"there is no job {job_id}", field="job_id")
        return job_of(job_id, *facts, attached=bool(attached))

    def events(self, job_id: str, *, after: str = "0") -> AsyncGenerator[LoggedEvent]:
        return self._log.events(job_id, after=after)

    async def history(self, job_id: str) -> Sequence[LoggedEvent]:
        return await self._log.history(job_id)

    async def position(self, job_id: str) -> int | None:
        with unavailable():
            answer = await self._scripts.position(
                keys=[self._keys.job(job_id)],
                args=[GROUP, MAX_POSITION, self._keys.waiting_prefix, self._head_start_ms],
            )
        if answer == -2:
            raise NotFound(f"there is no job {job_id}", field="job_id")
        return None if answer < 0 else int(answer)

    async def backlog(self, model: str, *, ahead_of: Priority | None = None) -> Backlog:
        place = PRIORITIES.index(ahead_of or "low") + 1
        most = self._limits.max_depth + self._limits.extra_depth
        with unavailable():
            waiting, running, ahead = await self._scripts.backlog(
                keys=self._keys.all_waiting(model), args=[GROUP, most, place, self._head_start_ms]
            )
        return Backlog(waiting=int(waiting if ahead_of is None else ahead), running=int(running))

    async def memory(self) -> Memory:
        with unavailable():
            answer = await self._scripts.memory(
                keys=[self._keys.outstanding], args=[self._limits.memory_bytes]
            )
        used, promised, most = map(int, answer)
        return Memory(used=used, promised=promised, most=most or None)

    async def picture(self, job_id: str, digest: str) -> bytes:
        with unavailable():
            content: bytes | None = await self._redis.hget(self._keys.pictures(job_id), digest)
        if content is None:
            raise NotFound(f"job {job_id} has no picture {digest}", field="digest")
        return content

    async def cancel(self, job_id: str) -> None:
        request = (await self.job(job_id)).request
        waiting = self._keys.waiting(request.model, request.priority)
        with unavailable():
            answer = await self._scripts.cancel(
                keys=self._keys_to_end(job_id, waiting),
                args=[GROUP, job_id, codec.encode_event(JobCancelled()), self._retention_ms],
            )
        if answer == b"missing":
            raise NotFound(f"there is no job {job_id}", field="job_id")

    async def attend(self, job_ids: Sequence[str], attendee: Attendee) -> None:
        keys = [self._keys.job(job_id) for job_id in job_ids]
        for start in range(0, len(keys), ATTENDED_AT_ONCE):
            with unavailable():
                await self._scripts.attend(
                    keys=keys[start : start + ATTENDED_AT_ONCE],
                    args=[attendee.id, _milliseconds(attendee)],
                )

    async def leave(self, job_id: str, attendee: Attendee) -> None:
        with suppress(NotFound):
            request = (await self.job(job_id)).request
            waiting = self._keys.waiting(request.model, request.priority)
            cancelled = codec.encode_event(JobCancelled())
            with unavailable():
                await self._scripts.leave(
                    keys=self._keys_to_end(job_id, waiting),
                    args=[GROUP, job_id, cancelled, self._retention_ms, attendee.id],
                )

    async def fail_unserved(self, job_id: str) -> None:
        keys = self._keys
        with unavailable():
            await self._scripts.fail_unserved(
                keys=[keys.job(job_id), keys.log(job_id), keys.pictures(job_id), keys.outstanding],
                args=[
                    GROUP,
                    job_id,
                    codec.encode_event(UNSERVED),
                    self._retention_ms,
                    keys.waiting_prefix,
                    int(self._limits.lease_seconds * 1000),
                ],
            )

    async def depth(self) -> int:
        with unavailable():
            return int(await self._redis.zcard(self._keys.outstanding))

    async def census(self) -> Census:
        with unavailable():
            reads = self._redis.pipeline(transaction=True)
            reads.time()
            reads.zcard(self._keys.outstanding)
            reads.zrange(self._keys.outstanding, 0, 0, withscores=True)
            reads.xlen(self._keys.dead)
            (seconds, microseconds), depth, oldest, dead = await reads.execute()
        age_us = seconds * 1e6 + microseconds - oldest[0][1] if oldest else 0.0
        return Census(depth=depth, oldest_age_seconds=max(0.0, age_us / 1e6), dead_letters=dead)

    async def models(self) -> Sequence[ModelCard]:
        cards = [codec.decode_card(text) for text in await self._models.texts()]
        return sorted(cards, key=lambda card: card.id)

    async def workers(self) -> Sequence[WorkerStatus]:
        workers = [codec.decode_worker(text) for text in await self._workers.texts()]
        return sorted(workers, key=lambda worker: worker.worker_id)


def _milliseconds(attendee: Attendee) -> int:
    return int(attendee.seconds * 1000)
