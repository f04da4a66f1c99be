"""The queue's twin in memory: the same laws in one process, for tests and for trying things out."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

from service.domain import (
    PRIORITIES,
    BandCompleted,
    GenerationRequest,
    ImageCompleted,
    Job,
    JobCancelled,
    JobQueued,
    JobState,
    LoggedEvent,
    ModelCard,
    Priority,
    TerminalEvent,
    is_terminal,
)
from service.errors import NotFound
from service.jobs.dead_letters import DeadLetter, no_letter, no_upload
from service.jobs.event_ids import parse_event_id
from service.jobs.memory_store import Grave, MemoryStore, Record
from service.jobs.progress import (
    NOT_STARTED,
    UNSERVED,
    key_conflict,
    over_its_jobs,
    progress_of,
    start_limit_ms,
)
from service.jobs.queue import (
    ANYBODY,
    MAX_POSITION,
    UNKNOWN_ORIGIN,
    Attendee,
    Backlog,
    IdempotencyKey,
    Lease,
    Origin,
    Owner,
    QueueLimits,
    Standing,
    Submission,
    WorkerStatus,
)
from service.jobs.request_budget import RequestBudget, budget, interval_us, take


class MemoryQueue(MemoryStore):
    """`JobQueue` for one event loop."""

    def __init__(
        self, limits: QueueLimits | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(limits or QueueLimits(), clock)
        self._models: dict[str, ModelCard] = {}
        self._workers: dict[str, tuple[WorkerStatus, float]] = {}
        self._budgets: dict[str, int] = {}
        """Per tenant: when its request budget will be full again."""

    async def ping(self) -> None:
        return None

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
        self._require_job_of(owner)
        job = await self._accept(
            request,
            owner.tenant,
            upload=upload,
            footprint=footprint,
            attached=attendee is not None,
            origin=origin,
        )
        if attendee is not None:
            await self.attend([job.id], attendee)
        return job

    async def submit_once(
        self,
        request: GenerationRequest,
        once: IdempotencyKey | None,
        *,
        owner: Owner = ANYBODY,
        footprint: int = 0,
        origin: Origin = UNKNOWN_ORIGIN,
    ) -> Submission:
        taken = None if once is None else await self.submitted(once, tenant=owner.tenant)
        if taken is not None:
            return Submission(job=taken, replayed=True)
        self._require_job_of(owner)
        job = await self._accept(
            request, owner.tenant, once=once, footprint=footprint, origin=origin
        )
        return Submission(job=job, standing=self._standing(job))

    def _standing(self, job: Job) -> Standing:
        """Of a job that was accepted just now."""
        states = [record.job.state for record in self._in_turn(job.request.model)]
        return Standing(position=self._position(job), running=states.count(JobState.RUNNING))

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

    def _require_job_of(self, owner: Owner) -> None:
        """Raises RateLimitExceeded."""
        theirs = sum(each.job.tenant == owner.tenant for each in self._outstanding.values())
        if owner.max_jobs is not None and theirs >= owner.max_jobs:
            raise over_its_jobs(owner.max_jobs)

    async def _accept(
        self,
        request: GenerationRequest,
        tenant: str,
        *,
        once: IdempotencyKey | None = None,
        upload: bytes | None = None,
        footprint: int,
        attached: bool = False,
        origin: Origin = UNKNOWN_ORIGIN,
    ) -> Job:
        await self._require_room(request, footprint)
        now = self._clock()
        job = Job(
            id=uuid.uuid4().hex,
            request=request,
            state=JobState.QUEUED,
            created_at=now,
            tenant=tenant,
            attached=attached,
        )
        limit = start_limit_ms(request)
        record = Record(
            job=job,
            footprint=footprint,
            origin=origin,
            once=once,
            start_by=None if limit is None else now + limit / 1000,
            upload=upload,
            upload_until=now + self._limits.upload_seconds,
        )
        self._records[job.id] = self._outstanding[job.id] = record
        await self._append(record, JobQueued())
        return job

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
        return self._position(job)

    def _position(self, job: Job) -> int:
        jobs = (record.job for record in self._in_turn(job.request.model))
        waiting = [other.id for other in jobs if other.state is JobState.QUEUED]
        return min(waiting.index(job.id), MAX_POSITION)

    async def backlog(self, model: str, *, ahead_of: Priority | None = None) -> Backlog:
        records = self._in_turn(model)
        waiting = [each for each in records if each.job.state is JobState.QUEUED]
        running = len(records) - len(waiting)
        if ahead_of is None:
            return Backlog(waiting=len(waiting), running=running)
        place = PRIORITIES.index(ahead_of)
        new = (1, self._turn_ms(self._clock(), place), place)
        ahead = sum(self._turn(record) <= new for record in waiting)
        return Backlog(waiting=ahead, running=running)

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

    async def attend(self, job_ids: Sequence[str], attendee: Attendee) -> None:
        for job_id in job_ids:
            if record := self._outstanding.get(job_id):
                record.attendees[attendee.id] = self._clock() + attendee.seconds

    async def leave(self, job_id: str, attendee: Attendee) -> None:
        record = self._outstanding.get(job_id)
        if record is not None and record.job.attached:
            record.attendees.pop(attendee.id, None)
            if record.is_unwanted(self._clock()):
                await self.cancel(job_id)

    async def fail_unserved(self, job_id: str) -> None:
        record = self._outstanding.get(job_id)
        if record is not None and record.job.attached and self._is_free(record):
            await self._end(record, UNSERVED)

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
        engine: str | None = None,
    ) -> Sequence[Lease]:
        deadline = time.monotonic() + wait_seconds
        while True:
            leases = await self._lease_now(worker_id, model, count, max_bands, engine)
            if leases or time.monotonic() >= deadline:
                return leases
            await asyncio.sleep(0.005)

    async def upload(self, job_id: str) -> bytes:
        self._expire()
        record = self._records.get(job_id)
        upload = None if record is None else record.upload_at(self._clock())
        if upload is None:
            raise NotFound(f"job {job_id} has no uploaded image", field="job_id")
        return upload

    async def renew(self, lease: Lease) -> bool:
        record = self._held(lease)
        record.lease_until = self._clock() + self._limits.lease_seconds
        return record.is_unwanted(self._clock())

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
        return record.is_unwanted(self._clock())

    async def finish(self, lease: Lease, event: TerminalEvent) -> None:
        await self._end(self._held(lease), event)

    async def hand_back(self, lease: Lease, *, counts: bool = False) -> None:
        record = self._held(lease)
        record.epoch += 1
        self._pass(record, JobState.QUEUED, attempts=record.job.attempts - (not counts))

    async def dead_letters(self) -> Sequence[DeadLetter]:
        self._expire()
        return [grave.letter for grave in self._graves]

    async def retry_dead(self, job_id: str) -> Job:
        grave = self._grave(job_id)
        upload = None
        if grave.request.keep_bands is not None:
            record = self._records.get(job_id)
            upload = None if record is None else record.upload_at(self._clock())
            if upload is None:
                raise no_upload(job_id)
        job = await self._accept(
            grave.request, grave.letter.tenant, upload=upload, footprint=grave.footprint
        )
        self._forget(grave)
        return job

    async def drop_dead(self, job_id: str) -> None:
        self._forget(self._grave(job_id))

    async def close(self) -> None:
        return None

    async def _lease_now(
        self, worker_id: str, model: str, count: int, max_bands: int | None, engine: str | None
    ) -> list[Lease]:
        leases: list[Lease] = []
        for record in self._in_turn(model):
            if len(leases) == count:
                break
            if self._is_free(record):
                lease = await self._start(record, worker_id, max_bands, engine)
                leases += [lease] if lease else []
        return leases

    def _grave(self, job_id: str) -> Grave:
        self._expire()
        for grave in self._graves:
            if grave.letter.job_id == job_id:
                return grave
        raise no_letter(job_id)

    def _forget(self, grave: Grave) -> None:
        """With the upload, which goes with it: to the new job, or for good."""
        self._graves.remove(grave)
        record = self._records.get(grave.letter.job_id)
        if record is not None:
            record.upload = None
