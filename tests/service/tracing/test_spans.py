"""A request is one trace, from either door through Redis and the worker, takeover or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any

import grpc
import httpx
import pytest

from nfig_proto.v1 import image_generation_pb2 as pb
from nfig_proto.v1.image_generation_pb2_grpc import ImageGenerationServiceStub
from service.domain import JobCompleted
from service.engine.fake_engine import FakeEngine
from service.gateway.rest.app import create_app
from service.gateway.rpc.server import RpcDoor
from service.jobs.queue import Lease, Origin
from service.jobs.redis_queue import RedisQueue
from service.metrics import Metrics
from service.settings import GatewaySettings, QueueSettings
from service.stack.redis_server import RedisServer
from service.tracing import current_trace_id, start_tracing, stop_tracing
from service.worker.job_run import JobRun
from service.worker.learned_pace import LearnedPace
from tests.in_process_worker import working
from tests.queue_calls import log_of
from tests.requests import request_of
from tests.service.tracing.collector import Collector

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
GIVEN = f"00-{TRACE}-00f067aa0ba902b7-01"
BANDS = 5


@pytest.fixture
def collector() -> Iterator[Collector]:
    started = Collector()
    start_tracing(started.url, process="test")
    yield started
    stop_tracing()
    started.stop()


@pytest.fixture
async def queue(redis_server: RedisServer) -> AsyncGenerator[RedisQueue]:
    settings = QueueSettings(redis_url=redis_server.url, queue_name="traced", lease_seconds=5)
    made = RedisQueue.from_settings(settings)
    yield made
    await made.close()


@pytest.fixture
async def worker(collector: Collector, queue: RedisQueue) -> AsyncGenerator[None]:
    async with working(queue):
        yield


def check_tree(collector: Collector, request_name: str) -> None:
    (request,) = collector.named(request_name)
    (job,) = collector.named("job")
    generations = collector.named("generation")
    assert request.trace_id.hex() == TRACE
    assert request.parent_span_id.hex() == "00f067aa0ba902b7"
    assert job.parent_span_id == request.span_id
    assert len(generations) == 2
    for generation in generations:
        assert generation.parent_span_id == job.span_id
        assert [event.name for event in generation.events] == ["band"] * BANDS
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}


async def test_over_http(collector: Collector, queue: RedisQueue, worker: None) -> None:
    app = create_app(queue=queue, settings=GatewaySettings(), metrics=Metrics())
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        body = {"prompt": "red", "n": 2}
        headers = {"traceparent": GIVEN}
        answer = await client.post("/v1/images/generations", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["traceparent"].split("-")[1] == TRACE
    stop_tracing()
    check_tree(collector, "POST /v1/images/generations")


async def test_over_grpc(collector: Collector, queue: RedisQueue, worker: None) -> None:
    app = create_app(queue=queue, settings=GatewaySettings(), metrics=Metrics())
    door = RpcDoor(app.state.services)
    await door.open()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{door.port}") as channel:
        spec = pb.ImageSpec(class_name="red", num_images=2)
        call = ImageGenerationServiceStub(channel).Generate(
            pb.GenerateRequest(spec=spec), metadata=(("traceparent", GIVEN),)
        )
        assert dict(await call.initial_metadata())["traceparent"].split("-")[1] == TRACE
        await call
    await door.close()
    stop_tracing()
    check_tree(collector, "nfig.v1.ImageGenerationService/Generate")


async def run(lease: Lease, queue: RedisQueue, *, band_seconds: float = 0.0) -> None:
    """The lease's job to its end, without ever renewing the lease."""
    engine = FakeEngine(band_seconds=band_seconds)
    await engine.start()
    made = JobRun(
        lease,
        queue=queue,
        engine=engine,
        slots=asyncio.Semaphore(8),
        metrics=Metrics(),
        pace=LearnedPace(slots=8),
        engine_ready=lambda: True,
        lease_seconds=60.0,
    )
    await made.run()


async def test_a_takeover_is_a_second_job_in_the_same_trace(
    collector: Collector, redis_server: RedisServer
) -> None:
    settings = QueueSettings(redis_url=redis_server.url, queue_name="taken-over", lease_seconds=0.5)
    queue = RedisQueue.from_settings(settings)
    origin = Origin(request_id="req_7", traceparent=GIVEN, tracestate="a=1")
    job = await queue.submit(request_of(), origin=origin)
    (lease,) = await queue.lease("slow", model="fake", count=1, wait_seconds=5)
    lost = asyncio.create_task(run(lease, queue, band_seconds=1.5))
    taken: Sequence[Lease] = []
    while not taken:
        taken = await queue.lease("next", model="fake", count=1, wait_seconds=1)
    await run(taken[0], queue)
    await lost
    events = await log_of(queue, job.id)
    await queue.close()
    stop_tracing()
    assert isinstance(events[-1].event, JobCompleted)
    first, second = sorted(collector.named("job"), key=lambda span: span.start_time_unix_nano)
    for attempt, worker_id, span in ((1, "slow", first), (2, "next", second)):
        assert span.trace_id.hex() == TRACE
        assert span.parent_span_id.hex() == "00f067aa0ba902b7"
        assert attributes(span)["nfig.job.id"] == job.id
        assert attributes(span)["nfig.request.id"] == "req_7"
        assert attributes(span)["nfig.job.attempt"] == attempt
        assert attributes(span)["nfig.worker.id"] == worker_id
    assert "nfig.job.outcome" not in attributes(first)
    assert attributes(second)["nfig.job.outcome"] == "completed"


def attributes(span: Any) -> dict[str, Any]:
    found = {}
    for pair in span.attributes:
        found[pair.key] = getattr(pair.value, pair.value.WhichOneof("value"))
    return found


def test_nothing_is_traced_by_default() -> None:
    start_tracing(None, process="test")
    assert current_trace_id() is None


def test_an_endpoint_that_is_no_url_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="NFIG_TRACING_ENDPOINT"):
        start_tracing("collector:4318", process="test")
