"""The gateway's half of the queue in Redis: to submit, to look, to cancel."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import Any

from service.domain import GenerationRequest, Job, JobCancelled, JobQueued, LoggedEvent, ModelCard
from service.errors import NotFound, QueueFull
from service.jobs import codec
from service.jobs.keys import GROUP
from service.jobs.progress import key_conflict, over_its_jobs, start_limit_ms
from service.jobs.queue import (
    ANYBODY,
    MAX_POSITION,
    Attendee,
    Backlog,
    IdempotencyKey,
    Owner,
    Submission,
    WorkerStatus,
)
from service.jobs.redis_answers import job_of
from service.jobs.redis_connection import submitting, unavailable
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
    ) -> Job:
        job_id = uuid.uuid4().hex
        async with self._uploads.kept_for(job_id, upload):
            return (await self._submit(job_id, request, owner=owner, attendee=attendee)).job

    async def submit_once(
        self, request: GenerationRequest, once: IdempotencyKey, *, owner: Owner = ANYBODY
    ) -> Submission:
        return await self._submit(uuid.uuid4().hex, request, owner=owner, once=once)

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

    async def _submit(
        self,
        job_id: str,
        request: GenerationRequest,
        *,
        owner: Owner = ANYBODY,
        once: IdempotencyKey | None = None,
        attendee: Attendee | None = None,
    ) -> Submission:
        keys = self._keys
        answer = await self._call_submit(
            keys=[
                keys.job(job_id),
                keys.log(job_id),
                keys.waiting(request.model),
                keys.outstanding,
                keys.in_flight(owner.tenant),
                *([keys.idempotency(owner.tenant, once.key)] if once else []),
            ],
            args=[
                GROUP,
                job_id,
                codec.encode(request),
                request.model,
                codec.encode_event(JobQueued()),
                self._limits.max_depth,
                -1 if (limit := start_limit_ms(request)) is None else limit,
                owner.tenant,
                -1 if owner.max_jobs is None else owner.max_jobs,
                *([once.fingerprint, keys.job_prefix] if once else []),
                *([attendee.id, _milliseconds(attendee)] if attendee else ["", 0]),
            ],
        )
        if answer[0] == b"full":
            raise QueueFull(f"the queue holds its {self._limits.max_depth} jobs", retry_after_s=1.0)
        if answer[0] == b"over":
            raise over_its_jobs(owner.max_jobs)
        if answer[0] == b"conflict":
            raise key_conflict()
        facts = [*answer[2:], owner.tenant.encode()]
        job = job_of(answer[1].decode(), *facts, attached=attendee is not None)
        return Submission(job=job, replayed=answer[0] == b"known")

    async def _call_submit(self, *, keys: Sequence[str], args: Sequence[Any]) -> list[Any]:
        with submitting():
            answer: list[Any] = await self._scripts.submit(keys=keys, args=args)
        return answer

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
            model = (await self.job(job_id)).request.model
            cancelled = codec.encode_event(JobCancelled())
            with unavailable():
                await self._scripts.leave(
                    keys=self._keys_to_end(job_id, model),
                    args=[GROUP, job_id, cancelled, self._retention_ms, attendee.id],
                )

    async def depth(self) -> int:
        with unavailable():
            return int(await self._redis.zcard(self._keys.outstanding))

    async def models(self) -> Sequence[ModelCard]:
        cards = [codec.decode_card(text) for text in await self._models.texts()]
        return sorted(cards, key=lambda card: card.id)

    async def workers(self) -> Sequence[WorkerStatus]:
        workers = [codec.decode_worker(text) for text in await self._workers.texts()]
        return sorted(workers, key=lambda worker: worker.worker_id)


def _milliseconds(attendee: Attendee) -> int:
    return int(attendee.seconds * 1000)
