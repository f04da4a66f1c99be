"""How work travels: the protocol that gateway and workers share.

Two implementations keep it: Redis (`redis_queue.py`) and a twin in memory (`memory_queue.py`).
One contract suite runs against both. Every write of a worker names its lease and raises
`errors.JobLost` once the job belongs to somebody else or has ended.
All methods raise `errors.QueueUnavailable` when the store does not answer.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from service.domain import (
    ANONYMOUS,
    BandCompleted,
    GenerationRequest,
    ImageCompleted,
    Job,
    LoggedEvent,
    ModelCard,
    Priority,
    TerminalEvent,
)
from service.jobs.dead_letters import DeadLetter
from service.jobs.pace import Pace
from service.jobs.request_budget import RequestBudget

MAX_POSITION = 100
"""How far a job's position in the queue is counted."""


@dataclass(frozen=True, kw_only=True)
class QueueLimits:
    """What the queue holds at most, and for how long."""

    max_depth: int = 1000
    """Jobs waiting or running; one more is refused with QueueFull."""
    lease_seconds: float = 15.0
    """A lease that is not renewed for this long may be taken over."""
    extra_depth: int = 0
    """So many more are let in if they accept fewer bands."""
    max_attempts: int = 3
    """Leases a job may have before it fails."""
    retention_seconds: float = 3600.0
    """How long a finished job, its log and its pictures are kept."""
    upload_seconds: float = 86_400.0
    """How long an uploaded image is kept for a job that does not end."""
    memory_bytes: int = 0
    """What is in use and what jobs may still come to, at most, before one more is refused with
    QueueFull; 0 leaves it to four fifths of what Redis itself may have."""
    head_start_seconds: float = 30.0
    """A job of one priority goes before those of the next lower one that were accepted up to so
    much earlier: it overtakes for a while, and nobody waits for ever."""
    engine_wait_seconds: float = 120.0
    """How long a job that was begun waits for a worker with its engine while others come by."""
    max_dead_letters: int = 1000
    """One more pushes the oldest out."""
    dead_letter_seconds: float = 7 * 86_400.0
    """After the last of them, how long dead letters are kept."""

    def depth_for(self, request: GenerationRequest) -> int:
        """How many jobs may be there before this request is refused."""
        consents = request.brownout == "allow"
        return self.max_depth + (self.extra_depth if consents else 0)


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Whose a job is, and how many of theirs may wait or run at once."""

    tenant: str
    max_jobs: int | None = None
    """One more is refused with RateLimitExceeded; None leaves it to the depth of the queue."""


ANYBODY = Owner(tenant=ANONYMOUS)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The request that made a job, so that a worker's logs and spans name it; a takeover's, too."""

    request_id: str = ""
    traceparent: str = ""
    """W3C trace context of the request's span; empty where nothing is traced."""
    tracestate: str = ""


UNKNOWN_ORIGIN = Origin()


@dataclass(frozen=True, kw_only=True)
class IdempotencyKey:
    """What makes a repeated submission the same job."""

    key: str
    """The caller's own name for the submission; another tenant's same name is another key."""
    fingerprint: str
    """Digest of what was asked; another one under the same key is a conflict."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a job that waits stands among those of its model."""

    position: int
    """As `JobQueue.position`."""
    running: int


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What a submission came to."""

    job: Job
    replayed: bool = False
    """The job is that of an earlier submission with the same idempotency key."""
    standing: Standing | None = None
    """Of a new job, when it was accepted; None where it is not known."""


@dataclass(frozen=True, kw_only=True)
class Attendee:
    """Somebody who waits for a job's end, and has to say so again and again."""

    id: str
    seconds: float
    """Without a word for this long it counts as gone."""


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A worker's time-limited hold on a job."""

    job: Job
    worker_id: str
    epoch: int
    """Fencing token: raised by every lease of the job, checked by every write."""
    leased_at: float
    """Unix seconds on the queue's clock, as `Job.created_at`: how old the job is, whatever the
    worker's own clock says."""
    max_bands: int | None = None
    """What the job's first lease said that it may have at most, if it consents."""
    origin: Origin = UNKNOWN_ORIGIN

    @property
    def bands(self) -> int:
        """Bands to draw of each image."""
        return self.job.request.bands_within(self.max_bands)


@dataclass(frozen=True, kw_only=True)
class Shedding:
    """How a worker sheds bands when demand exceeds capacity."""

    min_bands: int
    """The fewest bands that it goes down to."""
    target_seconds: float
    """It begins when jobs wait for longer than this."""
    fewest_now: int
    """What a job that consents may get by now; the model's number of bands in quiet times."""


@dataclass(frozen=True, kw_only=True)
class WorkerStatus:
    """A worker's heartbeat."""

    worker_id: str
    model: str
    engine: str
    engine_ready: bool
    pace: Pace | None = None
    """None until it has been measured."""
    shedding: Shedding | None = None
    """None where its operator does not allow it."""


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """A model's jobs that have not ended."""

    waiting: int
    running: int


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What the queue's store holds, in bytes."""

    used: int
    promised: int
    """What the jobs that have not ended may still come to; counted at their acceptance and until
    their end, whether or not it is in use by then."""
    most: int | None
    """Of both together; None where there is no limit."""


@dataclass(frozen=True, kw_only=True)
class Census:
    """What is in the queue, of all models together."""

    depth: int
    """Jobs waiting or running."""
    oldest_age_seconds: float
    """Since the oldest of these was accepted; 0 without any."""
    dead_letters: int


MODEL_TTL_SECONDS = 86_400.0
"""A card that no worker has registered for this long is forgotten."""


class JobQueue(Protocol):
    """Durable jobs with an event log each. The gateway's verbs come first, then the worker's, then
    the operator's."""

    async def ping(self) -> None: ...

    async def submit(
        self,
        request: GenerationRequest,
        *,
        owner: Owner = ANYBODY,
        upload: bytes | None = None,
        footprint: int = 0,
        attendee: Attendee | None = None,
        origin: Origin = UNKNOWN_ORIGIN,
    ) -> Job:
        """One atomic step: the owner's limit, depth check, job, queue entry, `job.queued` event.

        The image that is to be varied is there before the job is, and is deleted at its end. With
        an attendee the job is attached: once nobody waits for it, it ends as if cancelled.

        `footprint` is what the job may come to in bytes (`footprint.py`); every lease of the job
        tells its origin.

        Raises RateLimitExceeded where the owner has its number of jobs, QueueFull where all have,
        or where the memory is too short.
        """

    async def submit_once(
        self,
        request: GenerationRequest,
        once: IdempotencyKey | None,
        *,
        owner: Owner = ANYBODY,
        footprint: int = 0,
        origin: Origin = UNKNOWN_ORIGIN,
    ) -> Submission:
        """As `submit`, and tells where the job stands. But if a job of the tenant that is still
        kept has taken the key: that job, in the same atomic step, even if no other would be
        accepted. Raises IdempotencyConflict if the job was submitted with another fingerprint."""

    async def submitted(self, once: IdempotencyKey, *, tenant: str) -> Job | None:
        """The job that has taken the key, if there is one yet. Raises IdempotencyConflict."""

    async def count_request(self, tenant: str, *, per_minute: int) -> RequestBudget:
        """Takes one request from the tenant's budget, if there is one left, in one atomic step on
        the queue's clock."""

    async def job(self, job_id: str) -> Job:
        """Raises NotFound."""

    def events(self, job_id: str, *, after: str = "0") -> AsyncGenerator[LoggedEvent]:
        """Every event after the given id, in order, once, up to and including the terminal one.

        Waits for events that have not happened yet. Raises NotFound, or InvalidRequest if `after`
        is no event's id.
        """

    async def history(self, job_id: str) -> Sequence[LoggedEvent]:
        """The events that have happened by now, in order, without waiting; at least one.
        Raises NotFound."""

    async def position(self, job_id: str) -> int | None:
        """How many jobs of its model wait ahead of a job that waits; None if it does not wait.
        Of another priority, some that come later may yet overtake it, or it them.

        Exact below MAX_POSITION, which stands for itself and for every number above it, so that
        the question costs the same at any depth. Raises NotFound.
        """

    async def backlog(self, model: str, *, ahead_of: Priority | None = None) -> Backlog:
        """How many jobs of the model wait, and how many run; with `ahead_of`, only such of those
        that wait as would go before a new job of that priority."""

    async def memory(self) -> Memory: ...

    async def picture(self, job_id: str, digest: str) -> bytes:
        """Encoded bytes of one picture of the job. Raises NotFound."""

    async def cancel(self, job_id: str) -> None:
        """A waiting job ends at once, a running one at its next band; an ended one stays as it is.
        Raises NotFound."""

    async def attend(self, job_ids: Sequence[str], attendee: Attendee) -> None:
        """Says that the attendee waits for these jobs from now on, or still. Nothing to jobs that
        are not attached, have ended or are not there."""

    async def leave(self, job_id: str, attendee: Attendee) -> None:
        """Says that the attendee does not wait for the job any more. If it is attached and nobody
        else does, it is cancelled."""

    async def fail_unserved(self, job_id: str) -> None:
        """Fails an attached job that no worker holds, nor did with a lease that has not lapsed yet.
        Nothing to other jobs."""

    async def depth(self) -> int:
        """Jobs waiting or running."""

    async def census(self) -> Census:
        """The same cost at any depth."""

    async def models(self) -> Sequence[ModelCard]: ...

    async def workers(self) -> Sequence[WorkerStatus]:
        """Those whose heartbeat has not expired."""

    async def register_model(self, card: ModelCard) -> None:
        """Known for a day: a worker says it again with every heartbeat."""

    async def heartbeat(self, status: WorkerStatus, *, ttl_seconds: float) -> None: ...

    async def fail_late(self, model: str) -> None:
        """Fails the model's jobs that no worker has had in the time that they have for it, without
        waiting for a worker that has room for them."""

    async def sign_off(self, worker_id: str) -> None:
        """Forgets a worker now, instead of when its heartbeat expires."""

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
        """Up to `count` jobs of the model: those whose holder let its lease lapse or handed them
        back, then waiting ones by acceptance less their priority's head start. Jobs beyond
        `max_attempts` are failed on the way and become dead letters; failed are those, too, whose
        time to start for the first time (`progress.start_limit_ms`) has passed.

        `max_bands` is written down with a job's first lease and told by every later one, so that
        a takeover draws as many bands.

        `engine` is what the worker draws with. A job of which a band is logged goes on with the
        engine that drew it: a worker with another one lets it wait, and fails it once
        `engine_wait_seconds` have passed since one did so first; it becomes a dead letter. None
        takes what is there.
        """

    async def upload(self, job_id: str) -> bytes:
        """The image that was submitted with a job that has not ended. Raises NotFound."""

    async def renew(self, lease: Lease) -> bool:
        """Prolongs the lease. True if the job is to be cancelled: its owner wants it, or it is
        attached and nobody waits for it. Raises JobLost."""

    async def publish(
        self,
        lease: Lease,
        event: BandCompleted | ImageCompleted,
        *,
        pictures: Mapping[str, bytes],
    ) -> bool:
        """Appends an event and stores its pictures by digest, in one atomic step.

        A band or image at or before the last one logged for that image is dropped silently (it is
        a takeover's repetition). True if the job is to be cancelled, as of `renew`. Raises JobLost.
        """

    async def finish(self, lease: Lease, event: TerminalEvent) -> None:
        """Terminal event, state and acknowledgement in one atomic step. Raises JobLost."""

    async def hand_back(self, lease: Lease, *, counts: bool = False) -> None:
        """Puts the job back at the head of the queue; the attempt counts only if that is said, of a
        job that may have been the reason. Raises JobLost."""

    async def dead_letters(self) -> Sequence[DeadLetter]:
        """Oldest first."""

    async def retry_dead(self, job_id: str) -> Job:
        """A new job from the dead one's request, with all attempts, of the same tenant, whose
        number of jobs is not asked; the letter is gone. The dead job's log has ended and stays so.

        Raises NotFound if there is no such letter or its uploaded image has expired, QueueFull,
        InvalidRequest if the request cannot be read.
        """

    async def drop_dead(self, job_id: str) -> None:
        """Forgets the letter. Raises NotFound."""

    async def close(self) -> None: ...
