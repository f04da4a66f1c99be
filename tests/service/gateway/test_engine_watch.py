"""Who waits while no engine is left is told so in time; who need not wait is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import grpc
import httpx
import pytest

from nfig_proto.v1 import image_generation_pb2 as pb
from nfig_proto.v1.image_generation_pb2_grpc import ImageGenerationServiceStub
from service.domain import Job, JobCompleted, JobState
from service.engine.fake_engine import FAKE_CARD
from service.errors import QueueUnavailable
from service.gateway.rest.app import create_app
from service.gateway.rpc.server import RpcDoor
from service.jobs.memory_queue import MemoryQueue
from service.jobs.queue import WorkerStatus
from service.metrics import Metrics
from service.settings import GatewaySettings
from tests.queue_calls import lease_one
from tests.service.gateway.rpc.refusals import details_of

PATIENCE = 0.5
SOON = 20.0
"""Much less than the time limit of a request, and much more than the patience."""
URL = "/v1/images/generations"
BODY = {"class_label": 1}
READY = WorkerStatus(worker_id="w", model="fake", engine="fake", engine_ready=True)


class Queue(MemoryQueue):
    """One that nobody works for although a worker is alive; tells which job was submitted last."""

    last_job: str | None = None

    async def submit(self, *args: Any, **options: Any) -> Job:
        job = await super().submit(*args, **options)
        self.last_job = job.id
        return job


class Doors:
    """Both doors of one gateway."""

    def __init__(self, queue: Queue, rest: httpx.AsyncClient, rpc: Any) -> None:
        self.queue, self.rest, self.rpc = queue, rest, rpc

    async def whole(self) -> tuple[str, bool]:
        """The code that an answer has, and whether it says when to come back."""
        answer = await self.rest.post(URL, json=BODY)
        assert answer.status_code == 503, answer.text
        return answer.json()["error"]["code"], "retry-after" in answer.headers

    async def streamed(self) -> tuple[str, bool]:
        answer = await self.rest.post(URL, json={**BODY, "stream": True})
        assert answer.status_code == 200
        assert answer.text.startswith("event: error"), answer.text
        return "engine_unavailable" if "engine_unavailable" in answer.text else answer.text, True

    async def whole_grpc(self) -> tuple[str, bool]:
        return await self._refusal(self.rpc.Generate(pb.GenerateRequest(spec=_spec())))

    async def streamed_grpc(self) -> tuple[str, bool]:
        call = self.rpc.GenerateStream(pb.GenerateStreamRequest(spec=_spec()))
        accepted = await call.read()
        assert accepted.WhichOneof("event") == "accepted"
        return await self._refusal(call)

    async def _refusal(self, call: Any) -> tuple[str, bool]:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await (call if hasattr(call, "__await__") else call.read())
        details = details_of(refused.value)
        return details["ErrorInfo"].reason, "RetryInfo" in details

    async def accepted(self) -> str:
        """The job that waits, once there is one."""
        while self.queue.last_job is None:
            await asyncio.sleep(0.01)
        return self.queue.last_job


@pytest.fixture
async def doors() -> AsyncGenerator[Doors]:
    queue = Queue()
    await queue.register_model(FAKE_CARD)
    await queue.heartbeat(READY, ttl_seconds=600)
    settings = GatewaySettings(
        models_ttl_seconds=0, engine_patience_seconds=PATIENCE, shutdown_grace_seconds=0
    )
    app = create_app(queue=queue, settings=settings, metrics=Metrics())
    door = RpcDoor(app.state.services)
    await door.open()
    transport = httpx.ASGITransport(app=app)
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://gateway") as rest,
        grpc.aio.insecure_channel(f"127.0.0.1:{door.port}") as channel,
    ):
        yield Doors(queue, rest, ImageGenerationServiceStub(channel))
    await door.close()
    await app.state.services.engine_watch.close()


@pytest.mark.parametrize("gone", ["worker", "engine"])
@pytest.mark.parametrize("door", ["whole", "streamed", "whole_grpc", "streamed_grpc"])
async def test_who_was_accepted_as_the_last_engine_went_is_refused_soon(
    doors: Doors, door: str, gone: str
) -> None:
    calling = asyncio.create_task(getattr(doors, door)())
    job_id = await doors.accepted()
    if gone == "worker":
        await doors.queue.sign_off(READY.worker_id)
    else:
        await doors.queue.heartbeat(replace(READY, engine_ready=False), ttl_seconds=600)
    async with asyncio.timeout(SOON):
        assert await calling == ("engine_unavailable", True)
    assert (await doors.queue.job(job_id)).state is JobState.FAILED


async def test_who_was_handed_back_by_the_last_worker_is_refused_soon(doors: Doors) -> None:
    calling = asyncio.create_task(doors.whole())
    await doors.accepted()
    await doors.queue.hand_back(await lease_one(doors.queue))
    await doors.queue.sign_off(READY.worker_id)
    async with asyncio.timeout(SOON):
        assert await calling == ("engine_unavailable", True)


async def test_a_job_whose_caller_need_not_stay_waits_for_an_engine(doors: Doors) -> None:
    answer = await doors.rest.post("/v1/jobs", json=BODY)
    # Somebody who stays is watched over at the same time.
    calling = asyncio.create_task(doors.whole())
    while await doors.queue.depth() < 2:
        await asyncio.sleep(0.01)
    await doors.queue.sign_off(READY.worker_id)
    async with asyncio.timeout(SOON):
        await calling
    await asyncio.sleep(2 * PATIENCE)
    assert (await lease_one(doors.queue)).job.id == answer.json()["id"]


async def still_waits(doors: Doors, job_id: str, seconds: float) -> bool:
    await asyncio.sleep(seconds)
    return (await doors.queue.job(job_id)).state is JobState.QUEUED


async def test_who_finds_no_engine_for_a_moment_waits_on(doors: Doors) -> None:
    calling = asyncio.create_task(doors.rest.post(URL, json=BODY))
    job_id = await doors.accepted()
    for _ in range(3):
        await doors.queue.sign_off(READY.worker_id)
        assert await still_waits(doors, job_id, PATIENCE / 10)
        await doors.queue.heartbeat(READY, ttl_seconds=600)
        assert await still_waits(doors, job_id, PATIENCE)
    await doors.queue.finish(await lease_one(doors.queue), JobCompleted())
    await calling


async def test_while_nobody_knows_whether_there_is_an_engine_nobody_is_refused(
    doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    calling = asyncio.create_task(doors.whole())
    job_id = await doors.accepted()

    async def silent() -> Any:
        raise QueueUnavailable("the queue does not answer")

    await doors.queue.sign_off(READY.worker_id)
    with monkeypatch.context() as patched:
        patched.setattr(doors.queue, "workers", silent)
        assert await still_waits(doors, job_id, 3 * PATIENCE)
    async with asyncio.timeout(SOON):
        assert await calling == ("engine_unavailable", True)


def _spec() -> pb.ImageSpec:
    return pb.ImageSpec(class_label=1)
