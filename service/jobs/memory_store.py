"""What the queue in memory keeps of each job, and how a job passes from state to state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from service.domain import (
    PRIORITIES,
    TRANSITIONS,
    Event,
    GenerationRequest,
    Job,
    JobCancelled,
    JobFailed,
    JobStarted,
    JobState,
    LoggedEvent,
    TerminalEvent,
)
from service.errors import JobLost, NotFound
from service.jobs.dead_letters import DeadLetter
from service.jobs.progress import (
    BURIED,
    ENGINE_GONE,
    FAILED_BY_ATTEMPTS,
    NOT_STARTED,
    depth_reached,
    out_of_memory,
    state_after,
)
from service.jobs.queue import (
    UNKNOWN_ORIGIN,
    Census,
    IdempotencyKey,
    Lease,
    Memory,
    Origin,
    QueueLimits,
)


@dataclass(kw_only=True)
class Record:
    """One job with everything that Redis would keep of it."""

    job: Job
    footprint: int = 0
    origin: Origin = UNKNOWN_ORIGIN
    once: IdempotencyKey | None = None
    epoch: int = 0
    lease_until: float = 0.0
    worker_id: str = ""
    cancel_wanted: bool = False
    start_by: float | None = None
    """Until its first lease."""
    max_bands: int | None = None
    """From its first lease on."""
    engine: str | None = None
    """Of its last lease that told one."""
    stranded_at: float | None = None
    """When it first waited because of another engine, since its last lease."""
    progress: dict[int, int] = field(default_factory=dict)
    log: list[LoggedEvent] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)
    expires_at: float | None = None
    attendees: dict[str, float] = field(default_factory=dict)
    """Until when they have said that they wait."""
    upload: bytes | None = None
    upload_until: float = 0.0

    def has_key(self, once: IdempotencyKey, tenant: str) -> bool:
        mine = self.once is not None and self.once.key == once.key
        return mine and self.job.tenant == tenant

    def is_unwanted(self, now: float) -> bool:
        abandoned = self.job.attached and all(until < now for until in self.attendees.values())
        return self.cancel_wanted or abandoned

    def is_late(self, now: float) -> bool:
        return self.start_by is not None and now > self.start_by

    def is_strange_to(self, engine: str | None) -> bool:
        """Whether another engine has begun it."""
        told = engine is not None and self.engine is not None
        return told and bool(self.progress) and self.engine != engine

    def lease(self, now: float) -> Lease:
        return Lease(
            job=self.job,
            worker_id=self.worker_id,
            epoch=self.epoch,
            leased_at=now,
            max_bands=self.max_bands,
            origin=self.origin,
        )

    def upload_at(self, now: float) -> bytes | None:
        return self.upload if self.upload_until > now else None

    @property
    def num_bytes(self) -> int:
        contents = [*self.pictures.values(), self.upload or b""]
        return sum(map(len, contents))


@dataclass(frozen=True, kw_only=True)
class Grave:
    """A dead letter with what a new job is made of."""

    letter: DeadLetter
    request: GenerationRequest
    footprint: int


class MemoryStore:
    """The base of `MemoryQueue`: its state, and what happens to it."""

    def __init__(self, limits: QueueLimits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._records: dict[str, Record] = {}
        self._outstanding: dict[str, Record] = {}
        """Jobs that have not ended, in the order of their submission."""
        self._graves: list[Grave] = []
        self._changed = asyncio.Condition()
        self._last_event_id = 0

    async def memory(self) -> Memory:
        self._expire()
        return Memory(
            used=sum(record.num_bytes for record in self._records.values()),
            promised=sum(record.footprint for record in self._outstanding.values()),
            most=self._limits.memory_bytes or None,
        )

    async def census(self) -> Census:
        self._expire()
        accepted = [record.job.created_at for record in self._outstanding.values()]
        return Census(
            depth=len(accepted),
            oldest_age_seconds=max(0.0, self._clock() - min(accepted)) if accepted else 0.0,
            dead_letters=len(self._graves),
        )

    async def _require_room(self, request: GenerationRequest, footprint: int) -> None:
        """Raises QueueFull."""
        depth = self._limits.depth_for(request)
        if len(self._outstanding) >= depth:
            raise depth_reached(depth)
        memory = await self.memory()
        if memory.most and memory.used + memory.promised + footprint > memory.most:
            raise out_of_memory()

    def _in_turn(self, model: str) -> list[Record]:
        """The model's jobs that have not ended, as they go to workers."""
        records = self._outstanding.values()
        return sorted((each for each in records if each.job.request.model == model), key=self._turn)

    def _turn(self, record: Record) -> tuple[int, float, int]:
        """What was leased before goes first, then by acceptance less head start."""
        place = PRIORITIES.index(record.job.request.priority)
        if record.epoch > 0:
            return 0, place, 0
        return 1, self._turn_ms(record.job.created_at, place), place

    def _turn_ms(self, created_at: float, place: int) -> int:
        return int(created_at * 1000) - (1 - place) * int(self._limits.head_start_seconds * 1000)

    def _pass(self, record: Record, state: JobState, *, attempts: int | None = None) -> None:
        job = record.job
        assert state in TRANSITIONS[job.state], f"no way from {job.state} to {state}"
        record.job = replace(
            job, state=state, attempts=job.attempts if attempts is None else attempts
        )

    def _is_free(self, record: Record) -> bool:
        lapsed = record.lease_until <= self._clock()
        state = record.job.state
        return state is JobState.QUEUED or (state is JobState.RUNNING and lapsed)

    async def _start(
        self, record: Record, worker_id: str, max_bands: int | None, engine: str | None
    ) -> Lease | None:
        """The lease of a job that is free, unless it ends here or waits for another engine."""
        now = self._clock()
        strange = record.is_strange_to(engine)
        if strange and record.stranded_at is None:
            record.stranded_at = now
        if (end := self._end_instead(record, now, strange=strange)) is not None:
            await self._end(record, end)
            return None
        if strange:
            self._let_wait(record)
            return None
        if record.epoch == 0:
            record.max_bands = max_bands
        record.start_by = record.stranded_at = None
        record.engine = engine or record.engine
        attempts = record.job.attempts + 1
        self._pass(record, JobState.RUNNING, attempts=attempts)
        record.epoch += 1
        record.worker_id = worker_id
        record.lease_until = now + self._limits.lease_seconds
        await self._append(record, JobStarted(attempt=attempts))
        return record.lease(now)

    def _end_instead(self, record: Record, now: float, *, strange: bool) -> TerminalEvent | None:
        if record.is_unwanted(now):
            return JobCancelled()
        if record.job.attempts >= self._limits.max_attempts:
            return FAILED_BY_ATTEMPTS
        if record.is_late(now):
            return NOT_STARTED
        waited = 0.0 if record.stranded_at is None else now - record.stranded_at
        return ENGINE_GONE if strange and waited > self._limits.engine_wait_seconds else None

    def _let_wait(self, record: Record) -> None:
        if record.job.state is JobState.RUNNING:
            record.epoch += 1
            self._pass(record, JobState.QUEUED)

    async def _end(self, record: Record, event: TerminalEvent) -> None:
        self._pass(record, state_after(event))
        record.job = replace(record.job, attached=False)
        record.expires_at = self._clock() + self._limits.retention_seconds
        if isinstance(event, JobFailed) and event in BURIED:
            self._bury(record, event)
            record.upload_until = min(record.upload_until, record.expires_at)
        else:
            record.upload = None
        del self._outstanding[record.job.id]
        await self._append(record, event)

    def _bury(self, record: Record, failure: JobFailed) -> None:
        job = record.job
        letter = DeadLetter(
            job_id=job.id,
            at=self._clock(),
            tenant=job.tenant,
            attempts=job.attempts,
            worker_id=record.worker_id,
            failure=failure,
        )
        grave = Grave(letter=letter, request=job.request, footprint=record.footprint)
        self._graves = [*self._graves, grave][-self._limits.max_dead_letters :]

    async def _append(self, record: Record, event: Event) -> None:
        self._last_event_id += 1
        logged = LoggedEvent(id=f"{self._last_event_id}-0", at=self._clock(), event=event)
        record.log.append(logged)
        async with self._changed:
            self._changed.notify_all()

    def _record(self, job_id: str) -> Record:
        self._expire()
        try:
            return self._records[job_id]
        except KeyError:
            raise NotFound(f"there is no job {job_id}", field="job_id") from None

    def _held(self, lease: Lease) -> Record:
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
        if self._graves and self._graves[-1].letter.at + self._limits.dead_letter_seconds <= now:
            self._graves = []
