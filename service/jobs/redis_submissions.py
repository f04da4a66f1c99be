"""Submitting jobs to Redis: one call, whatever the queue finds."""

from __future__ import annotations

from typing import Any

from service.domain import GenerationRequest, Job, JobQueued, JobState
from service.jobs import codec
from service.jobs.keys import GROUP, Keys
from service.jobs.progress import key_conflict, over_its_jobs, start_limit_ms
from service.jobs.queue import (
    ANYBODY,
    MAX_POSITION,
    UNKNOWN_ORIGIN,
    Attendee,
    IdempotencyKey,
    Origin,
    Owner,
    QueueLimits,
    Standing,
    Submission,
)
from service.jobs.redis_answers import job_of, require_room
from service.jobs.redis_failures import submitting
from service.jobs.redis_scripts import Scripts


class RedisSubmissions:
    """What a job leaves in Redis when it is accepted, is said in `lua/submit.lua`."""

    def __init__(self, scripts: Scripts, keys: Keys, limits: QueueLimits) -> None:
        self._scripts = scripts
        self._keys = keys
        self._limits = limits

    async def submit(
        self,
        job_id: str,
        request: GenerationRequest,
        *,
        owner: Owner = ANYBODY,
        once: IdempotencyKey | None = None,
        footprint: int = 0,
        attendee: Attendee | None = None,
        origin: Origin = UNKNOWN_ORIGIN,
    ) -> Submission:
        """As `JobQueue.submit_once`."""
        with submitting():
            kind, *facts = await self._call(
                job_id, request, owner, once, footprint, attendee, origin
            )
        require_room(kind, self._limits.depth_for(request))
        if kind == b"over":
            raise over_its_jobs(owner.max_jobs)
        if kind == b"conflict":
            raise key_conflict()
        if kind == b"new":
            return _accepted(job_id, request, owner, attendee is not None, *facts)
        known_id, *stored = facts
        job = job_of(
            known_id.decode(),
            *[*stored, owner.tenant.encode()],
            attached=attendee is not None,
        )
        return Submission(job=job, replayed=kind == b"known")

    async def _call(
        self,
        job_id: str,
        request: GenerationRequest,
        owner: Owner,
        once: IdempotencyKey | None,
        footprint: int,
        attendee: Attendee | None,
        origin: Origin,
    ) -> list[Any]:
        keys = self._keys
        limit_ms = start_limit_ms(request)
        answer: list[Any] = await self._scripts.submit(
            keys=[
                keys.job(job_id),
                keys.log(job_id),
                keys.waiting(request.model, request.priority),
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
                self._limits.depth_for(request),
                -1 if limit_ms is None else limit_ms,
                owner.tenant,
                -1 if owner.max_jobs is None else owner.max_jobs,
                request.priority,
                footprint,
                self._limits.memory_bytes,
                MAX_POSITION,
                keys.waiting_prefix,
                int(self._limits.head_start_seconds * 1000),
                origin.request_id,
                origin.traceparent,
                origin.tracestate,
                *([once.fingerprint, keys.job_prefix] if once else []),
                *([attendee.id, int(attendee.seconds * 1000)] if attendee else ["", 0]),
            ],
        )
        return answer


def _accepted(
    job_id: str,
    request: GenerationRequest,
    owner: Owner,
    attached: bool,
    created: bytes,
    ahead: int,
    running: int,
) -> Submission:
    job = Job(
        id=job_id,
        request=request,
        state=JobState.QUEUED,
        created_at=int(created) / 1e6,
        tenant=owner.tenant,
        attached=attached,
    )
    return Submission(job=job, standing=Standing(position=ahead, running=running))
