"""The queue's twin in memory: the same laws in one process, for tests and for trying things out."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from service.domain import (
    BandCompleted,
    Event,
    GenerationRequest,
    ImageCompleted,
    Job,
    JobCancelled,
    JobQueued,
    JobStarted,
    JobState,
    LoggedEvent,
    ModelCard,
    TerminalEvent,
    is_terminal,
)
from service.errors import JobLost, NotFound, QueueFull
from service.jobs.event_ids import parse_event_id
from service.jobs.progress import (
    FAILED_BY_ATTEMPTS,
    NOT_STARTED,
    key_conflict,
    over_its_jobs,
    progress_of,
    start_limit_ms,
    state_after,
)
from service.jobs.queue import (
    ANYBODY,
    MAX_POSITION,
    Backlog,
    IdempotencyKey,
    Lease,
    Owner,
    QueueLimits,
    Standing,
    Submission,
    WorkerStatus,
)
from service.jobs.request_budget import RequestBudget, budget, interval_us, take


@dataclass(kw_only=True)
class _Record:
    """One job with everything that Redis would keep of it."""

    job: Job
    once: IdempotencyKey | None = None
    epoch: int = 0
    lease_until: float = 0.0
    cancel_wanted: bool = False
    start_by: float | None = None
    """Until its first lease."""
    max_bands: int | None = None
    """From its first lease on."""
    leased_once: bool = False
    progress: dict[int, int] = field(default_factory=dict)
    log: list[LoggedEvent] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)
    expires_at: float | None = None
    upload: bytes | None = None
    upload_until: float = 0.0

    def has_key(self, once: IdempotencyKey, tenant: str) -> bool:
        mine = self.once is not None and self.once.key == once.key
        return mine and self.job.tenant == tenant

    def is_late(self, now: float) -> bool:
        return self.start_by is not None and now > self.start_by


class MemoryQueue:
    """`JobQueue` for one event loop."""

    def __init__(
        self, limits: QueueLimits | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._limits = limits or QueueLimits()
        self._clock = clock
        self._records: dict[str, _Record] = {}
        self._outstanding: dict[str, _Record] = {}
        """Jobs that have not ended, in the order of their submission."""
        self._models: dict[str, ModelCard] = {}
        self._workers: dict[str, tuple[WorkerStatus, float]] = {}
        self._budgets: dict[str, int] = {}
        """Per tenant: when its request budget will be full again."""
        self._changed = asyncio.Condition()
        self._last_event_id = 0

    async def ping(self) -> None:
        return None

    async def submit(
        self,
        request: GenerationRequest,
        *,
        owner: Owner = ANYBODY,
        upload: bytes | None = None,
    ) -> Job:
        job = (await self._submit(request, owner=owner)).job
        record = self._records[job.id]
        record.upload = upload
        record.upload_until = self._clock() + self._limits.upload_seconds
        return job

    async def submit_once(
        self, request: GenerationRequest, once: IdempotencyKey | None, *, owner: Owner = ANYBODY
    ) -> Submission:
        taken = None if once is None else await self.submitted(once, tenant=owner.tenant)
        if taken is None:
            return await self._submit(request, owner=owner, once=once)
        return Submission(job=taken, replayed=True)

    async def submitted(self, once: IdempotencyKey, *, tenant: str) -> Job | None:
        self._expire()
        records = self._records.values()
        taken = next((each for each in records if each.has_key(once, tenant)), None)
        if taken is None:
            return None
        if taken.once != once:
            raise key_conflict()
        return taken.job

    async def count_request(self, tenant: str, *, per_minute: int) -> RequestBudget:
        now = int(self._clock() * 1e6)
        full_at = min(self._budgets.get(tenant, 0), now + per_minute * interval_us(per_minute))
        after = take(full_at, now, per_minute=per_minute)
        if after is not None:
            self._budgets[tenant] = full_at = after
        return budget(full_at, now, per_minute=per_minute, allowed=after is not None)

    async def _submit(
        self, request: GenerationRequest, *, owner: Owner, once: IdempotencyKey | None = None
    ) -> Submission:
        theirs = sum(each.job.tenant == owner.tenant for each in self._outstanding.values())
        if owner.max_jobs is not None and theirs >= owner.max_jobs:
            raise over_its_jobs(owner.max_jobs)
        depth = self._limits.depth_for(request)
        if len(self._outstanding) >= depth:
            raise QueueFull(f"the queue holds its {depth} jobs", retry_after_s=1.0)
        job = Job(
            id=uuid.uuid4().hex,
            request=request,
            state=JobState.QUEUED,
            created_at=self._clock(),
            tenant=owner.tenant,
        )
        standing = self._standing_of_next(request.model)
        limit = start_limit_ms(request)
        start_by = None if limit is None else job.created_at + limit / 1000
        self._records[job.id] = _Record(job=job, once=once, start_by=start_by)
        self._outstanding[job.id] = self._records[job.id]
        await self._append(self._records[job.id], JobQueued())
        return Submission(job=job, standing=standing)

    def _standing_of_next(self, model: str) -> Standing:
        everyone = [record.job for record in self._outstanding.values()]
        states = [job.state for job in everyone if job.request.model == model]
        waiting = min(states.count(JobState.QUEUED), MAX_POSITION)
        return Standing(position=waiting, running=states.count(JobState.RUNNING))

    async def job(self, job_id: str) -> Job:
        return self._record(job_id).job

    async def events(self, job_id: str, *, after: str = "0") -> AsyncGenerator[LoggedEvent]:
        seen = parse_event_id(after)
        record = self._record(job_id)
        while True:
            for logged in [entry for entry in record.log if parse_event_id(entry.id) > seen]:
                seen = parse_event_id(logged.id)
                yield logged
            async with self._changed:
                while parse_event_id(record.log[-1].id) <= seen:
                    if is_terminal(record.log[-1].event):
                        return
                    await self._changed.wait()

    async def history(self, job_id: str) -> Sequence[LoggedEvent]:
        return list(self._record(job_id).log)

    async def position(self, job_id: str) -> int | None:
        job = self._record(job_id).job
        if job.state is not JobState.QUEUED:
            return None
        everyone = (record.job for record in self._outstanding.values())
        waiting = [
            other.id
            for other in everyone
            if other.state is JobState.QUEUED and other.request.model == job.request.model
        ]
        return min(waiting.index(job_id), MAX_POSITION)

    async def backlog(self, model: str) -> Backlog:
        everyone = [record.job for record in self._outstanding.values()]
        states = [job.state for job in everyone if job.request.model == model]
        return Backlog(
            waiting=states.count(JobState.QUEUED), running=states.count(JobState.RUNNING)
        )

    async def picture(self, job_id: str, digest: str) -> bytes:
        try:
            return self._record(job_id).pictures[digest]
        except KeyError:
            raise NotFound(f"job {job_id} has no picture {digest}", field="digest") from None

    async def cancel(self, job_id: str) -> None:
        record = self._record(job_id)
        if record.job.state is JobState.QUEUED:
            await self._end(record, JobCancelled())
        elif record.job.state is JobState.RUNNING:
            record.cancel_wanted = True

    async def depth(self) -> int:
        return len(self._outstanding)

    async def models(self) -> Sequence[ModelCard]:
        return [card for _, card in sorted(self._models.items())]

    async def workers(self) -> Sequence[WorkerStatus]:
        now = self._clock()
        return [status for _, (status, until) in sorted(self._workers.items()) if until > now]

    async def register_model(self, card: ModelCard) -> None:
        self._models[card.id] = card

    async def heartbeat(self, status: WorkerStatus, *, ttl_seconds: float) -> None:
        self._workers[status.worker_id] = (status, self._clock() + ttl_seconds)

    async def fail_late(self, model: str) -> None:
        now = self._clock()
        for record in list(self._outstanding.values()):
            if record.job.request.model == model and record.is_late(now):
                await self._end(record, NOT_STARTED)

    async def sign_off(self, worker_id: str) -> None:
        self._workers.pop(worker_id, None)

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
            leases = await self._lease_now(worker_id, model, count, max_bands)
            if leases or time.monotonic() >= deadline:
                return leases
            await asyncio.sleep(0.005)

    async def upload(self, job_id: str) -> bytes:
        record = self._records.get(job_id)
        if record is None or record.upload is None or record.upload_until <= self._clock():
            raise NotFound(f"job {job_id} has no uploaded image", field="job_id")
        return record.upload

    async def renew(self, lease: Lease) -> bool:
        record = self._held(lease)
        record.lease_until = self._clock() + self._limits.lease_seconds
        return record.cancel_wanted

    async def publish(
        self,
        lease: Lease,
        event: BandCompleted | ImageCompleted,
        *,
        pictures: Mapping[str, bytes],
    ) -> bool:
        record = self._held(lease)
        if progress_of(event) > record.progress.get(event.image_index, 0):
            record.progress[event.image_index] = progress_of(event)
            record.pictures.update(pictures)
            await self._append(record, event)
        return record.cancel_wanted

    async def finish(self, lease: Lease, event: TerminalEvent) -> None:
        await self._end(self._held(lease), event)

    async def hand_back(self, lease: Lease) -> None:
        record = self._held(lease)
        record.epoch += 1
        attempts = record.job.attempts - 1
        record.job = replace(record.job, state=JobState.QUEUED, attempts=attempts)

    async def close(self) -> None:
        return None

    async def _lease_now(
        self, worker_id: str, model: str, count: int, max_bands: int | None
    ) -> list[Lease]:
        leases: list[Lease] = []
        # Jobs that lapsed or were handed back are the oldest, and so the first.
        for record in list(self._outstanding.values()):
            if len(leases) == count:
                break
            if record.job.request.model == model and self._is_free(record):
                lease = await self._start(record, worker_id, max_bands)
                leases += [lease] if lease else []
        return leases

    def _is_free(self, record: _Record) -> bool:
        lapsed = record.lease_until <= self._clock()
        state = record.job.state
        return state is JobState.QUEUED or (state is JobState.RUNNING and lapsed)

    async def _start(self, record: _Record, worker_id: str, max_bands: int | None) -> Lease | None:
        if record.cancel_wanted:
            await self._end(record, JobCancelled())
            return None
        if record.job.attempts >= self._limits.max_attempts:
            await self._end(record, FAILED_BY_ATTEMPTS)
            return None
        now = self._clock()
        if record.is_late(now):
            await self._end(record, NOT_STARTED)
            return None
        record.start_by = None
        if not record.leased_once:
            record.max_bands, record.leased_once = max_bands, True
        attempts = record.job.attempts + 1
        record.job = replace(record.job, state=JobState.RUNNING, attempts=attempts)
        record.epoch += 1
        record.lease_until = now + self._limits.lease_seconds
        await self._append(record, JobStarted(attempt=attempts))
        return Lease(
            job=record.job,
            worker_id=worker_id,
            epoch=record.epoch,
            leased_at=now,
            max_bands=record.max_bands,
        )

    async def _end(self, record: _Record, event: TerminalEvent) -> None:
        record.job = replace(record.job, state=state_after(event))
        record.expires_at = self._clock() + self._limits.retention_seconds
        record.upload = None
        del self._outstanding[record.job.id]
        await self._append(record, event)

    async def _append(self, record: _Record, event: Event) -> None:
        self._last_event_id += 1
        logged = LoggedEvent(id=f"{self._last_event_id}-0", at=self._clock(), event=event)
        record.log.append(logged)
        async with self._changed:
            self._changed.notify_all()

    def _record(self, job_id: str) -> _Record:
        self._expire()
        try:
            return self._records[job_id]
        except KeyError:
            raise NotFound(f"there is no job {job_id}", field="job_id") from None

    def _held(self, lease: Lease) -> _Record:
        record = self._records.get(lease.job.id)
        running = record is not None and record.job.state is JobState.RUNNING
        if record is None or not running or record.epoch != lease.epoch:
            raise JobLost(f"job {lease.job.id} is no longer held by {lease.worker_id}")
        return record

    def _expire(self) -> None:
        now = self._clock()
        for job_id, record in list(self._records.items()):
            if record.expires_at is not None and record.expires_at <= now:
                del self._records[job_id]
