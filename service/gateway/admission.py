"""The door that attached and native jobs share: complete, admit, submit, and count refusals."""

from __future__ import annotations

from dataclasses import dataclass

from structlog.contextvars import get_contextvars

from service.domain import GenerationRequest, Job, ModelCard
from service.errors import ServiceError, catalogued
from service.gateway.access.principal import Principal
from service.gateway.attendance import Attendance
from service.gateway.cards import Fleet, FleetCache, answered_within
from service.gateway.drafts import Draft, complete
from service.gateway.estimates import Outlook, check_time
from service.gateway.uploads import Uploads
from service.jobs.footprint import footprint
from service.jobs.progress import start_limit_ms
from service.jobs.queue import (
    Attendee,
    IdempotencyKey,
    JobQueue,
    Origin,
    Standing,
    Submission,
)
from service.metrics import Metrics
from service.settings import GatewaySettings
from service.tracing import current


@dataclass(frozen=True, kw_only=True)
class AcceptedJob:
    """A job of ours together with the card of the model that draws it."""

    job: Job
    card: ModelCard
    replayed: bool = False
    """Its idempotency key had been used before, for this job."""
    standing: Standing | None = None
    """As of its `Submission`."""


class Admission:
    """From a draft to a job in the queue."""

    def __init__(
        self,
        *,
        queue: JobQueue,
        fleet: FleetCache,
        settings: GatewaySettings,
        metrics: Metrics,
        attendance: Attendance,
    ) -> None:
        self._attendance = attendance
        self._uploads = Uploads(settings)
        self._queue = queue
        self._fleet = fleet
        self._settings = settings
        self._metrics = metrics

    async def accept(
        self,
        draft: Draft,
        *,
        caller: Principal,
        once: IdempotencyKey | None = None,
        attached: bool = False,
    ) -> AcceptedJob:
        """An attached job belongs to this call; whoever makes it follows the job or disowns it.

        Raises InvalidRequest, IdempotencyConflict, UnknownModel, Refused."""
        try:
            earlier = None if once is None else await self._earlier(once, caller)
            accepted = earlier or await self._new(draft, caller, once, attached)
        except ServiceError as error:
            self._metrics.jobs_refused.labels(reason=catalogued(error).code).inc()
            raise
        if not accepted.replayed:
            self._metrics.jobs_accepted.labels(model=accepted.job.request.model).inc()
        return accepted

    async def _earlier(self, once: IdempotencyKey, caller: Principal) -> AcceptedJob | None:
        """The job that took the key before: what it was let in by need not hold any more."""
        seconds = self._settings.queue_timeout_seconds
        call = self._queue.submitted(once, tenant=caller.tenant)
        job = await answered_within(seconds, call)
        if job is None:
            return None
        card = (await self._fleet.fleet()).card(job.request.model)
        return AcceptedJob(job=job, card=card, replayed=True)

    async def _new(
        self, draft: Draft, caller: Principal, once: IdempotencyKey | None, attached: bool
    ) -> AcceptedJob:
        fleet = await self._fleet.fleet()
        card = fleet.card(draft.model, field=draft.name("model"))
        most = min(
            self._settings.max_images,
            caller.limits.images_per_request or self._settings.max_images,
        )
        priority = caller.priority(draft.priority, field=draft.name("priority"))
        request = complete(draft, card, max_images=most, priority=priority)
        fleet.require_engine(card.id)
        await self._require_time(draft, request, fleet)
        # Last, because nothing here costs as much.
        upload = await self._uploads.pixels(draft, side=card.image_size)
        attendee = self._attendance.attendee if attached else None
        size = footprint(request, image_size=card.image_size)
        submission = await answered_within(
            2 * self._settings.queue_timeout_seconds,
            self._submit(request, caller, once, upload, attendee, size),
        )
        return AcceptedJob(
            job=submission.job,
            card=card,
            replayed=submission.replayed,
            standing=submission.standing,
        )

    async def _require_time(self, draft: Draft, request: GenerationRequest, fleet: Fleet) -> None:
        """Raises DeadlineTooShort, DeadlineUnattainable, QueueUnavailable."""
        pace = fleet.pace(request.model)
        if pace is None or start_limit_ms(request) is None:
            return
        backlog = await answered_within(
            self._settings.queue_timeout_seconds,
            self._queue.backlog(request.model, ahead_of=request.priority),
        )
        shedding = fleet.shedding(request.model)
        check_time(draft, request, Outlook(pace=pace, backlog=backlog, shedding=shedding))

    async def _submit(
        self,
        request: GenerationRequest,
        caller: Principal,
        once: IdempotencyKey | None,
        upload: bytes | None,
        attendee: Attendee | None,
        size: int,
    ) -> Submission:
        origin = _origin()
        if upload is None and attendee is None:
            return await self._queue.submit_once(
                request, once, owner=caller.owner, footprint=size, origin=origin
            )
        assert once is None, "no door takes an idempotency key with an image or for who waits"
        job = await self._queue.submit(
            request,
            owner=caller.owner,
            upload=upload,
            attendee=attendee,
            footprint=size,
            origin=origin,
        )
        return Submission(job=job)


def _origin() -> Origin:
    """The request that is being answered."""
    trace = current.get().headers
    return Origin(
        request_id=str(get_contextvars().get("request_id", "")),
        traceparent=trace.get("traceparent", ""),
        tracestate=trace.get("tracestate", ""),
    )
