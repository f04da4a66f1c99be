"""Callers over gRPC, and what they write down; errors by the HTTP status of the same catalogue."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import grpc

from nfig_proto.v1 import image_generation_pb2 as pb
from nfig_proto.v1.image_generation_pb2_grpc import ImageGenerationServiceStub
from service.errors import catalogued, from_code
from tests.chaos.history import Answered, Sent, Source
from tests.chaos.listening import ACCEPTED, ERROR, IMAGE, Told, listen
from tests.chaos.notebook import Event, Notebook
from tests.chaos.wishes import PREVIEWS, Wish, spec
from tests.service.gateway.rpc.refusals import details_of

CALL_SECONDS = 75.0
BROKEN = (grpc.aio.AioRpcError, TimeoutError)
CUT_OFF = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED}
)
"""What the transport says itself, without our details, when a connection breaks."""
_NAMES = {
    "queued": "job.queued",
    "started": "job.started",
    "band": "band.completed",
    "image": "image.completed",
    "completed": "job.completed",
    "failed": "job.failed",
    "cancelled": "job.cancelled",
}
_ALONE = [("grpc.use_local_subchannel_pool", 1)]


class GrpcDoor:
    """Asks one gateway or the other; the same calls as `HttpDoor`, but for variations, which it
    has not."""

    name = "grpc"

    def __init__(self, addresses: Sequence[str], rng: random.Random, notebook: Notebook) -> None:
        self._addresses = addresses
        self._rng = rng
        self._notebook = notebook

    async def close(self) -> None:
        """Nothing is left open between calls."""

    async def create(self, wish: Wish, *, key: str) -> Answered | None:
        sent = self._notebook.sent("grpc", "native", wish, key=key)
        request = pb.CreateJobRequest(spec=spec(wish, previews=2), idempotency_key=key)
        return await self._ask(sent, "CreateJob", request)

    async def draw(self, wish: Wish) -> Answered | None:
        sent = self._notebook.sent("grpc", "attached", wish)
        return await self._ask(sent, "Generate", pb.GenerateRequest(spec=spec(wish)))

    async def cancel(self, job: str) -> Answered | None:
        sent = self._notebook.cancelling("grpc", job)
        return await self._ask(sent, "CancelJob", pb.CancelJobRequest(job_id=job))

    async def stream(
        self, wish: Wish, *, leave_after: int | None = None, stall_seconds: float = 0.0
    ) -> None:
        sent = self._notebook.sent("grpc", "attached", wish)
        events = self._drawing(sent, wish)
        await listen(
            self._notebook,
            sent,
            wish,
            events,
            broken=BROKEN,
            leave_after=leave_after,
            stall_seconds=stall_seconds,
        )

    async def _drawing(self, sent: Sent, wish: Wish) -> Told:
        request = pb.GenerateStreamRequest(spec=spec(wish, previews=PREVIEWS))
        job = ""
        try:
            async with aclosing(self._following("GenerateStream", request)) as events:
                async for event in events:
                    kind = event.WhichOneof("event")
                    if kind == ACCEPTED:
                        job = event.accepted.id
                        self._notebook.accepted(sent, 200, job)
                    elif kind == IMAGE:
                        self._pictured("stream", job, event.image)
                    yield job, kind
        except grpc.aio.AioRpcError as error:
            if not job:
                self._failed(sent, error)
            elif not _details(error):
                raise
            else:
                yield job, ERROR

    def _pictured(self, source: Source, job: str, image: pb.Image) -> None:
        content, bands = image.picture.content, image.bands_completed
        self._notebook.pictured(source, job, image.image_index, content, bands)

    async def events(self, job: str, after: str) -> AsyncGenerator[Event]:
        resume_after = None if after == "0" else after
        request = pb.WatchJobRequest(job_id=job, resume_after=resume_after)
        async with aclosing(self._following("WatchJob", request)) as messages:
            async for message in messages:
                yield _event(message)

    async def _following(self, method: str, request: Any) -> AsyncGenerator[Any]:
        """The messages of a stream, which is cancelled when its reader leaves."""
        async with self._stub() as stub:
            call = getattr(stub, method)(request)
            try:
                async for message in call:
                    yield message
            finally:
                call.cancel()

    async def _ask(self, sent: Sent, method: str, request: Any) -> Answered | None:
        try:
            # Not a deadline of the call: that would be one of the request as well.
            async with asyncio.timeout(CALL_SECONDS), self._stub() as stub:
                answer = await getattr(stub, method)(request)
        except BROKEN as error:
            return self._failed(sent, error)
        images = answer.images if method == "Generate" else None
        bands = None if images is None else [image.bands_completed for image in images]
        for image in images or ():
            self._pictured("answer", answer.job.id, image)
        return self._notebook.accepted(sent, 200, answer.job.id, bands)

    def _failed(self, sent: Sent, error: grpc.aio.AioRpcError | TimeoutError) -> Answered | None:
        if isinstance(error, TimeoutError):
            self._notebook.unanswered(sent, repr(error))
            return None
        details = _details(error)
        if not details and error.code() in CUT_OFF:
            self._notebook.unanswered(sent, f"{error.code()}: {error.details()}")
            return None
        code = details["ErrorInfo"].reason if details else None
        status = catalogued(from_code(code, "")).http_status if code else 500
        return self._notebook.failed(sent, status, code, has_retry_after="RetryInfo" in details)

    @asynccontextmanager
    async def _stub(self) -> AsyncIterator[Any]:
        address = self._rng.choice(self._addresses)
        async with grpc.aio.insecure_channel(address, options=_ALONE) as channel:
            yield ImageGenerationServiceStub(channel)


def _details(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    """Ours, by their names; none where the transport speaks."""
    said = {name for name, _ in error.trailing_metadata() or ()}
    return details_of(error) if "grpc-status-details-bin" in said else {}


def _event(message: pb.WatchJobResponse) -> Event:
    kind = message.WhichOneof("event")
    assert kind is not None
    said = getattr(message, kind)
    names = ("image_index", "band", "token_digest", "seconds", "bands_completed", "shed", "code")
    data = {name: getattr(said, name) for name in names if name in said.DESCRIPTOR.fields_by_name}
    return Event(id=message.id, name=_NAMES[kind], data=data)
