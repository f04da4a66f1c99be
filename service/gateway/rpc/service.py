"""`nfig.v1.ImageGenerationService`: each call is a translation around one use case.

Behaviours raise `ServiceError` and leave when they are cancelled, which a client's deadline does
too; `calls.py` hands them their messages and renders their errors.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

from nfig_proto.v1 import image_generation_pb2 as pb
from service.domain import LoggedEvent
from service.errors import InvalidRequest, NotFound, ShuttingDown
from service.gateway.admission import AcceptedJob
from service.gateway.drain import Leaving
from service.gateway.idempotency import idempotency_key
from service.gateway.native_jobs import JobStatus
from service.gateway.request_traces import became_job
from service.gateway.rpc.answers import (
    accepted_message,
    image_message,
    model_message,
    stream_message,
)
from service.gateway.rpc.calls import Call
from service.gateway.rpc.job_answers import event_message, job_message, picture_of
from service.gateway.rpc.specs import draft_of, leaving
from service.gateway.services import Services
from service.jobs.event_ids import parse_event_id

START = "0"
"""Before every event."""
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class ImageGenerationService:
    """Keeps the shape of the generated servicer."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def Generate(self, request: pb.GenerateRequest, call: Call) -> pb.GenerateResponse:
        if request.spec.HasField("previews"):
            text = "spec.previews needs GenerateStream"
            raise InvalidRequest(text, field="spec.previews")
        accepted = await self._accept(request.spec, call)
        images = await self._services.generation.draw(accepted)
        return pb.GenerateResponse(
            job=accepted_message(accepted), images=[image_message(image) for image in images]
        )

    async def GenerateStream(
        self, request: pb.GenerateStreamRequest, call: Call
    ) -> AsyncGenerator[pb.GenerateStreamResponse]:
        accepted = await self._accept(request.spec, call)
        with self._services.metrics.stream_clients.track_inprogress():
            following = self._services.generation.follow_bands(accepted)
            async with aclosing(following) as items:
                async for item in items:
                    yield stream_message(accepted.job, item)

    async def CreateJob(self, request: pb.CreateJobRequest, call: Call) -> pb.CreateJobResponse:
        draft = draft_of(request.spec)
        asked = request.HasField("idempotency_key")
        once = idempotency_key(request.idempotency_key, draft) if asked else None
        accepted = await self._services.admission.accept(draft, caller=call.caller, once=once)
        became_job(accepted)
        status = await self._services.jobs.outcome(accepted.job, within_seconds=0)
        return pb.CreateJobResponse(job=job_message(status), replayed=accepted.replayed)

    async def GetJob(self, request: pb.GetJobRequest, call: Call) -> pb.GetJobResponse:
        status = await self._services.jobs.status(_job_id(request.job_id), caller=call.caller)
        contents = await self._contents(status) if request.with_content else {}
        return pb.GetJobResponse(job=job_message(status, contents))

    async def CancelJob(self, request: pb.CancelJobRequest, call: Call) -> pb.CancelJobResponse:
        status = await self._services.jobs.cancel(_job_id(request.job_id), caller=call.caller)
        return pb.CancelJobResponse(job=job_message(status))

    async def WatchJob(
        self, request: pb.WatchJobRequest, call: Call
    ) -> AsyncGenerator[pb.WatchJobResponse]:
        after = _resume_after(request)
        job = await self._services.jobs.job(_job_id(request.job_id), caller=call.caller)
        with self._services.metrics.stream_clients.track_inprogress():
            async with (
                self._services.attendance.watching(job),
                aclosing(self._until_drained(job.id, after)) as log,
            ):
                async for logged in log:
                    shown = request.with_content
                    content = await self._content(job.id, logged) if shown else b""
                    yield event_message(job, logged, content)

    async def ListModels(self, request: pb.ListModelsRequest, call: Call) -> pb.ListModelsResponse:
        fleet = await self._services.fleet.fleet()
        models = [model_message(card, fleet.engine_state(card.id)) for card in fleet.cards]
        return pb.ListModelsResponse(models=models)

    async def _accept(self, spec: pb.ImageSpec, call: Call) -> AcceptedJob:
        draft = leaving(draft_of(spec), call.seconds_left)
        accepting = self._services.admission.accept(draft, caller=call.caller, attached=True)
        accepted = await self._services.generation.own(accepting)
        became_job(accepted)
        return accepted

    async def _until_drained(self, job_id: str, after: str) -> AsyncGenerator[LoggedEvent]:
        """The job's log, or what there is until this gateway stops. Raises ShuttingDown."""
        async with aclosing(self._services.jobs.watch(job_id, after=after)) as log:
            while True:
                try:
                    # Around the wait alone: what is being sent is sent whole.
                    async with self._services.drain.cut_short():
                        logged = await anext(log, None)
                except Leaving:
                    text = "this gateway is stopping: go on at another after the last event"
                    raise ShuttingDown(text, retry_after_s=1.0) from None
                if logged is None:
                    return
                yield logged

    async def _contents(self, status: JobStatus) -> dict[str, bytes]:
        digests = {image.picture.digest for image in status.images if image.picture is not None}
        jobs = self._services.jobs
        return {digest: await jobs.content(status.job.id, digest) for digest in digests}

    async def _content(self, job_id: str, logged: LoggedEvent) -> bytes:
        picture = picture_of(logged.event)
        if picture is None:
            return b""
        try:
            return await self._services.jobs.content(job_id, picture.digest)
        except NotFound:
            # It has expired; that it was drawn is still worth telling.
            return b""


def _job_id(text: str) -> str:
    if not _JOB_ID.fullmatch(text):
        raise InvalidRequest("job_id is not the id of a job", field="job_id")
    return text


def _resume_after(request: pb.WatchJobRequest) -> str:
    if not request.HasField("resume_after"):
        return START
    try:
        parse_event_id(request.resume_after)
    except InvalidRequest:
        text = "resume_after must be the id of an event of the job"
        raise InvalidRequest(text, field="resume_after") from None
    return request.resume_after
