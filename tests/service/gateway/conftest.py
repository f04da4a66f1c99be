"""A gateway in this process over a queue that does what a test tells it to.

`ScriptedQueue` draws at once, without a worker, and can be made to fail in every way a queue can.
`whole_gateway` is one over a real queue and worker.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from service.domain import (
    BandCompleted,
    Event,
    GenerationRequest,
    ImageCompleted,
    Job,
    JobCancelled,
    JobCompleted,
    JobFailed,
    JobQueued,
    JobStarted,
    JobState,
    LoggedEvent,
    ModelCard,
    Picture,
    Priority,
)
from service.engine.fake_engine import FakeEngine
from service.errors import NotFound, QueueUnavailable
from service.gateway.rest.app import create_app
from service.jobs.memory_queue import MemoryQueue
from service.jobs.queue import (
    ANYBODY,
    UNKNOWN_ORIGIN,
    Attendee,
    Backlog,
    Census,
    IdempotencyKey,
    Memory,
    Origin,
    Owner,
    QueueLimits,
    Submission,
    WorkerStatus,
)
from service.metrics import Metrics
from service.settings import GatewaySettings
from service.worker.brownout import Brownout
from service.worker.heartbeat import Heartbeat
from service.worker.learned_pace import LearnedPace
from service.worker.worker import Worker

CARD = ModelCard(
    id="tiny",
    digest="0" * 64,
    image_size=64,
    grid_sides=(1, 2, 3, 4, 8),
    latent_channels=4,
    codebook_size=512,
    class_names=("cat", "dog", "crane", "crane", "7"),
    guidance_scale=1.5,
    top_k=100,
    top_p=0.9,
    temperature=1.0,
)
CREATED_AT = 1_700_000_000.0

READY = WorkerStatus(worker_id="w", model="tiny", engine="fake", engine_ready=True)


@dataclass
class ScriptedQueue:
    """The gateway's half of `JobQueue`."""

    cards: list[ModelCard] = field(default_factory=lambda: [CARD])
    statuses: list[WorkerStatus] = field(default_factory=lambda: [READY])
    refuse_submit: Exception | None = None
    down: bool = False
    silent: bool = False
    """Neither answers nor fails."""
    fail_after_band: tuple[int, JobFailed | JobCancelled] | None = None
    hang_after_band: int | None = None
    band_gap_seconds: float = 0.0
    without_previews_of: frozenset[int] = frozenset()
    forget_pictures: bool = False
    forget_jobs: bool = False
    cancel_seconds: float = 0.0
    has_backlog: Backlog = field(default_factory=lambda: Backlog(waiting=0, running=0))
    requests: list[GenerationRequest] = field(default_factory=list)
    uploads: list[bytes] = field(default_factory=list)
    jobs: dict[str, Job] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    reading: int = 0
    """Logs that are being read now."""

    async def ping(self) -> None:
        await self._answer()

    async def models(self) -> Sequence[ModelCard]:
        await self._answer()
        return self.cards

    async def workers(self) -> Sequence[WorkerStatus]:
        await self._answer()
        return self.statuses

    async def census(self) -> Census:
        await self._answer()
        return Census(depth=len(self.jobs), oldest_age_seconds=0.0, dead_letters=0)

    async def memory(self) -> Memory:
        return Memory(used=1, promised=0, most=None)

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
        await self._answer()
        if self.refuse_submit is not None:
            raise self.refuse_submit
        facts = {"created_at": CREATED_AT, "tenant": owner.tenant, "state": JobState.COMPLETED}
        job = Job(id=f"job-{len(self.jobs)}", request=request, **facts)
        self.requests.append(request)
        if upload is not None:
            self.uploads.append(upload)
        self.jobs[job.id] = job
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
        return Submission(job=await self.submit(request, owner=owner))

    async def submitted(self, once: IdempotencyKey, *, tenant: str) -> Job | None:
        await self._answer()
        return None

    async def job(self, job_id: str) -> Job:
        await self._answer()
        if self.forget_jobs or job_id not in self.jobs:
            raise NotFound("no such job", field="job_id")
        return self.jobs[job_id]

    async def picture(self, job_id: str, digest: str) -> bytes:
        await self._answer()
        if self.forget_pictures or digest not in self.pictures:
            raise NotFound("no such picture")
        return self.pictures[digest]

    async def cancel(self, job_id: str) -> None:
        await self._answer()
        await asyncio.sleep(self.cancel_seconds)
        self.cancelled.append(job_id)

    async def attend(self, job_ids: Sequence[str], attendee: Attendee) -> None:
        await self._answer()

    async def leave(self, job_id: str, attendee: Attendee) -> None:
        """Nobody else waits for any job here."""
        await self.cancel(job_id)

    async def events(self, job_id: str, *, after: str = "0") -> AsyncGenerator[LoggedEvent]:
        job = await self.job(job_id)
        self.reading += 1
        try:
            count = 0
            async for event in self._script(job.request):
                count += 1
                yield LoggedEvent(id=str(count), at=CREATED_AT + count, event=event)
        finally:
            self.reading -= 1

    async def history(self, job_id: str) -> Sequence[LoggedEvent]:
        found: list[LoggedEvent] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05), aclosing(self.events(job_id)) as log:
                async for logged in log:
                    found.append(logged)
        return found

    async def position(self, job_id: str) -> int | None:
        await self._answer()
        return None

    async def backlog(self, model: str, *, ahead_of: Priority | None = None) -> Backlog:
        await self._answer()
        return self.has_backlog

    async def _script(self, request: GenerationRequest) -> AsyncGenerator[Event]:
        yield JobQueued()
        yield JobStarted(attempt=1)
        for band in range(request.bands):
            for index in range(request.num_images):
                yield self._band(request, band, index)
            await asyncio.sleep(self.band_gap_seconds)
            if self.hang_after_band == band:
                await asyncio.Event().wait()
            if self.fail_after_band is not None and self.fail_after_band[0] == band:
                yield self.fail_after_band[1]
                return
        for index in range(request.num_images):
            picture = self._keep(request, index, request.bands - 1)
            yield ImageCompleted(image_index=index, picture=picture, bands_completed=request.bands)
        yield JobCompleted()

    def _band(self, request: GenerationRequest, band: int, index: int) -> BandCompleted:
        shown = band in request.previews and band not in self.without_previews_of
        return BandCompleted(
            image_index=index,
            band=band,
            token_digest="0" * 64,
            seconds=0.001 * (band + 1),
            batch_size=1,
            preview=self._keep(request, index, band) if shown else None,
        )

    def _keep(self, request: GenerationRequest, index: int, band: int) -> Picture:
        identity = (request.class_label, request.seed, index, band, request.picture_format)
        content = json.dumps(identity).encode()
        digest = hashlib.sha256(content).hexdigest()
        self.pictures[digest] = content
        return Picture(
            digest=digest, num_bytes=len(content), format=request.picture_format, side=64
        )

    async def _answer(self) -> None:
        if self.silent:
            await asyncio.Event().wait()
        if self.down:
            raise QueueUnavailable("the queue is not reachable", retry_after_s=1.0)


@dataclass(frozen=True)
class Gateway:
    """A gateway under test."""

    queue: ScriptedQueue
    client: httpx.AsyncClient
    metrics: Metrics
    app: FastAPI

    async def generate(self, body: object, **headers: str) -> httpx.Response:
        return await self.client.post("/v1/images/generations", json=body, headers=headers)


OpenGateway = Callable[..., Gateway]


@pytest.fixture
async def open_gateway() -> AsyncGenerator[OpenGateway]:
    """Opens gateways without a network; keyword arguments are settings."""
    clients: list[httpx.AsyncClient] = []

    def open_one(queue: ScriptedQueue | None = None, **settings: object) -> Gateway:
        queue = queue or ScriptedQueue()
        metrics = Metrics()
        app = create_app(queue=queue, settings=_settings(settings), metrics=metrics)
        # Errors must come back as answers, so nothing may escape to the client as an exception.
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
        client = httpx.AsyncClient(transport=transport, base_url="http://gateway")
        clients.append(client)
        return Gateway(queue=queue, client=client, metrics=metrics, app=app)

    yield open_one
    for client in clients:
        await client.aclose()


@pytest.fixture
def gateway(open_gateway: OpenGateway) -> Gateway:
    return open_gateway()


@pytest.fixture
def scripted_queue() -> type[ScriptedQueue]:
    return ScriptedQueue


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(band_seconds=0.002)


@asynccontextmanager
async def drawn_from(
    engine: FakeEngine, brownout: Brownout | None = None
) -> AsyncIterator[MemoryQueue]:
    """A queue with a worker behind it."""
    made = MemoryQueue(QueueLimits(max_depth=8))
    await engine.start()
    heartbeat = Heartbeat(
        queue=made,
        engine=engine,
        worker_id="w",
        engine_name="fake",
        ttl_seconds=5.0,
        pace=LearnedPace(slots=8),
        brownout=brownout,
    )
    worker = Worker(
        worker_id="w",
        queue=made,
        engine=engine,
        heartbeat=heartbeat,
        metrics=Metrics(),
        max_generations=8,
        lease_seconds=5.0,
        grace_seconds=0.0,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    while not await made.workers():
        await asyncio.sleep(0.001)
    yield made
    stop.set()
    await running
    await engine.close()


@pytest.fixture
async def queue(engine: FakeEngine) -> AsyncGenerator[MemoryQueue]:
    async with drawn_from(engine) as made:
        yield made


@pytest.fixture
async def browned_out(engine: FakeEngine) -> AsyncGenerator[MemoryQueue]:
    """One whose worker draws two bands at most of whoever accepts that."""
    brownout = Brownout(num_bands=engine.card.num_bands, min_bands=2, target_seconds=1e9)
    brownout.level = 3
    async with drawn_from(engine, brownout) as made:
        yield made


@pytest.fixture
def whole_gateway(open_gateway: OpenGateway, queue: MemoryQueue) -> Gateway:
    """A gateway over a queue that is drawn from, as in real life."""
    return open_gateway(queue, queue_timeout_seconds=5)


class Servers:
    """Real servers on free ports of 127.0.0.1."""

    def __init__(self) -> None:
        self._running: list[tuple[uvicorn.Server, asyncio.Task[None]]] = []

    async def __call__(self, queue: object, **settings: object) -> str:
        """Serves the queue; returns the URL."""
        app = create_app(queue=queue, settings=_settings(settings), metrics=Metrics())
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        self._running.append((server, task))
        while not server.started:
            await asyncio.sleep(0.01)
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    async def stop(self) -> None:
        """What SIGTERM does."""
        while self._running:
            server, task = self._running.pop()
            server.should_exit = True
            await task


@pytest.fixture
async def listen() -> AsyncGenerator[Servers]:
    servers = Servers()
    yield servers
    await servers.stop()


def _settings(values: dict[str, object]) -> GatewaySettings:
    return GatewaySettings(**{"models_ttl_seconds": 0, "queue_timeout_seconds": 0.2, **values})
