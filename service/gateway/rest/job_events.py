"""`GET /v1/jobs/{id}/events`: the event log of a job as server-sent events, from any point on."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from service.domain import Job
from service.errors import InvalidRequest
from service.gateway.failures import as_service_error
from service.gateway.rest import negotiation
from service.gateway.rest.callers import Viewer
from service.gateway.rest.errors import problem
from service.gateway.rest.event_stream import EventStream, ServerEvent
from service.gateway.rest.job_answers import JobAddresses, job_event
from service.gateway.rest.request_id import request_id
from service.gateway.rest.services import JobId, SharedServices
from service.gateway.services import Services
from service.jobs.event_ids import parse_event_id

START = "0"
"""Before every event."""
LastEventId = Annotated[
    str | None,
    Header(description="Go on after this event; what `EventSource` sends when it reconnects."),
]
After = Annotated[str | None, Query(description="The same by hand; the header wins.")]
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {negotiation.EVENTS: {}}, "description": "Events up to the terminal one."},
    204: {"description": "The job has ended and its last event is the one named."},
    "default": {"description": "Problem details."},
}


def router() -> APIRouter:
    routes = APIRouter(tags=["jobs"])

    @routes.get(
        "/v1/jobs/{job_id}/events",
        summary="Watch a job",
        response_class=Response,
        responses=_RESPONSES,
    )
    async def events(
        viewer: Viewer,
        job_id: JobId,
        request: Request,
        services: SharedServices,
        last_event_id: LastEventId = None,
        after: After = None,
    ) -> Response:
        negotiation.choose(",".join(request.headers.getlist("accept")), [negotiation.EVENTS])
        start = _start(last_event_id, after)
        job = await services.jobs.job(job_id, caller=viewer)
        if await services.jobs.is_seen_whole(job_id, after=start):
            # Only this keeps an `EventSource` from reconnecting for ever.
            return Response(status_code=204)
        return EventStream(
            _events(request, job, services, after=start),
            keepalive_seconds=services.settings.keepalive_seconds,
            clients=services.metrics.stream_clients,
            drain=services.drain,
        )

    return routes


async def _events(
    request: Request, job: Job, services: Services, *, after: str
) -> AsyncGenerator[ServerEvent]:
    addresses = JobAddresses(request, job.id)
    try:
        async with (
            services.attendance.watching(job),
            aclosing(services.jobs.watch(job.id, after=after)) as log,
        ):
            async for logged in log:
                yield job_event(job, logged, addresses)
    except Exception as error:
        # The status line is long gone. Without an id, so that a watcher resumes where it was.
        identifier = request_id(request.scope)
        failure = as_service_error(error, request_id=identifier)
        yield ServerEvent(name="error", data=problem(failure, request_id=identifier))


def _start(header: str | None, query: str | None) -> str:
    """The event to go on after. Raises InvalidRequest that names where the bad id stood."""
    name, text = ("after", query) if header is None else ("last-event-id", header)
    if text is None:
        return START
    try:
        parse_event_id(text)
    except InvalidRequest:
        text = f"{name} must be the id of an event of the job"
        raise InvalidRequest(text, field=name) from None
    return text
