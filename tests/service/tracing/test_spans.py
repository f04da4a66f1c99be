"""A request is one trace, from either door through Redis and the worker, takeover or not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from nfig_proto.v1 import image_generation_pb2 as pb
from nfig_proto.v1.image_generation_pb2_grpc import ImageGenerationServiceStub
from service.engine.fake_engine import FakeEngine
from service.gateway.rest.app import create_app
from service.gateway.rpc.server import RpcDoor
from service.jobs.queue import Origin
from service.jobs.redis_queue import RedisQueue
from service.metrics import Metrics
from service.settings import GatewaySettings, QueueSettings
from service.stack.redis_server import RedisServer
from service.tracing import current_trace_id, start_tracing, stop_tracing
from service.worker.heartbeat import Heartbeat
from service.worker.learned_pace import LearnedPace
from service.worker.worker import Worker
from tests.requests import request_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
GIVEN = f"00-{TRACE}-00f067aa0ba902b7-01"
BANDS = 5


class Collector:
    """Takes spans over OTLP/HTTP and keeps them."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        keep = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in resource.scope_spans:
                        keep.extend(scope.spans)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


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
    engine = FakeEngine()
    await engine.start()
    heartbeat = Heartbeat(
        queue=queue,
        engine=engine,
        worker_id="w",
        engine_name="fake",
        ttl_seconds=5.0,
        pace=LearnedPace(slots=8),
    )
    made = Worker(
        worker_id="w",
        queue=queue,
        engine=engine,
        heartbeat=heartbeat,
        metrics=Metrics(),
        max_generations=8,
        lease_seconds=5.0,
        grace_seconds=0.0,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(made.run(stop))
    while not await queue.workers():
        await asyncio.sleep(0.01)
    yield
    stop.set()
    await running


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


async def test_a_takeover_keeps_the_origin(redis_server: RedisServer) -> None:
    settings = QueueSettings(redis_url=redis_server.url, queue_name="taken-over")
    queue = RedisQueue.from_settings(settings)
    origin = Origin(request_id="req_7", traceparent=GIVEN, tracestate="a=1")
    await queue.submit(request_of(), origin=origin)
    for worker in ("first", "second"):
        (lease,) = await queue.lease(worker, model="fake", count=1, wait_seconds=1)
        assert lease.origin == origin
        await queue.hand_back(lease)
    await queue.close()


def test_nothing_is_traced_by_default() -> None:
    start_tracing(None, process="test")
    assert current_trace_id() is None


def test_an_endpoint_that_is_no_url_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="NFIG_TRACING_ENDPOINT"):
        start_tracing("collector:4318", process="test")
