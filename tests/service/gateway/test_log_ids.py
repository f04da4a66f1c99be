"""What is logged while a request is answered names the job that it asks about, at either door."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from structlog.contextvars import get_contextvars

from nfig_proto.v1 import image_generation_pb2 as pb
from nfig_proto.v1.image_generation_pb2_grpc import ImageGenerationServiceStub
from service.gateway.rpc.server import RpcDoor

JOB = "0123456789abcdef0123456789abcdef"


class Ids(logging.Handler):
    """Of each line that is logged, what is bound at that moment."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(get_contextvars())


@pytest.fixture
def ids() -> Iterator[Ids]:
    made = Ids()
    logger = logging.getLogger("service")
    logger.addHandler(made)
    yield made
    logger.removeHandler(made)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("POST", "/cancel"),
        ("GET", "/events"),
        ("GET", "/images/0"),
        ("GET", f"/pictures/{'0' * 64}"),
    ],
)
async def test_over_http(gateway: Any, ids: Ids, method: str, path: str) -> None:
    gateway.queue.job = broken
    headers = {"x-request-id": "req-7"}
    answer = await gateway.client.request(method, f"/v1/jobs/{JOB}{path}", headers=headers)
    assert answer.status_code == 500
    assert ids.seen == [{"request_id": "req-7", "job_id": JOB}]


async def test_over_grpc(gateway: Any, ids: Ids) -> None:
    gateway.queue.job = broken
    door = RpcDoor(gateway.app.state.services)
    await door.open()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{door.port}") as channel:
        stub = ImageGenerationServiceStub(channel)
        metadata = (("x-request-id", "req-7"),)
        calls: list[Any] = [
            stub.GetJob(pb.GetJobRequest(job_id=JOB), metadata=metadata),
            stub.CancelJob(pb.CancelJobRequest(job_id=JOB), metadata=metadata),
            stub.WatchJob(pb.WatchJobRequest(job_id=JOB), metadata=metadata),
        ]
        for call in calls:
            assert await call.code() is grpc.StatusCode.INTERNAL
    await door.close()
    assert ids.seen == [{"request_id": "req-7", "job_id": JOB}] * len(calls)


async def broken(job_id: str) -> None:
    raise RuntimeError("a defect")
