"""The gRPC door of the running stack, asked by a client that knows the stubs alone."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from nfig_proto.v1 import image_generation_pb2 as pb
from nfig_proto.v1.image_generation_pb2_grpc import ImageGenerationServiceStub
from service.stack.choice import EngineName
from service.stack.running import RunningStack

StartStack = Callable[[EngineName | None], AbstractContextManager[RunningStack]]
PAGE = Path(__file__).parents[2] / "docs" / "api.md"
SPEC = pb.ImageSpec(class_label=2, seed=7, previews=2)


@pytest.fixture(scope="module")
def running(start_stack: StartStack) -> Iterator[RunningStack]:
    with start_stack("fake") as stack:
        yield stack


@pytest.fixture(scope="module")
def stub(running: RunningStack) -> Iterator[ImageGenerationServiceStub]:
    with grpc.insecure_channel(running.grpc_address) as channel:
        yield ImageGenerationServiceStub(channel)


def test_both_doors_and_a_job_draw_the_same_bytes(running: RunningStack, stub: Any) -> None:
    events = list(stub.GenerateStream(pb.GenerateStreamRequest(spec=SPEC), timeout=30))
    bands = [event.band for event in events if event.HasField("band")]
    assert [band.band for band in bands] == list(range(len(bands)))
    assert sum(band.HasField("preview") for band in bands) == 2
    image = events[-1].image.picture
    body = {"class_label": 2, "seed": 7}
    url = f"{running.gateway_url}/v1/images/generations"
    assert httpx.post(url, json=body, headers={"accept": "image/png"}).content == image.content

    job = stub.CreateJob(pb.CreateJobRequest(spec=SPEC), timeout=30).job
    log = list(stub.WatchJob(pb.WatchJobRequest(job_id=job.id, with_content=True), timeout=30))
    assert log[-1].HasField("completed")
    assert log[-2].image.picture == image


def test_a_watcher_who_loses_the_connection_goes_on_where_it_was(stub: Any) -> None:
    job = stub.CreateJob(pb.CreateJobRequest(spec=SPEC), timeout=30).job
    watching = stub.WatchJob(pb.WatchJobRequest(job_id=job.id), timeout=30)
    first = [next(watching), next(watching)]
    watching.cancel()
    resumed = pb.WatchJobRequest(job_id=job.id, resume_after=first[-1].id)
    rest = list(stub.WatchJob(resumed, timeout=30))
    assert first + rest == list(stub.WatchJob(pb.WatchJobRequest(job_id=job.id), timeout=30))


def test_what_is_refused_is_refused_by_name(stub: Any) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        stub.Generate(pb.GenerateRequest(spec=pb.ImageSpec(class_name="unicorn")), timeout=30)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "spec.class_name" in refused.value.details()


def test_the_client_of_the_documents_works(running: RunningStack, tmp_path: Path) -> None:
    section = PAGE.read_text(encoding="utf-8").split("## gRPC\n")[1]
    (script,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    script = script.replace("127.0.0.1:50051", running.grpc_address).replace('"cat"', '"red"')
    command = [sys.executable, "-c", script]
    environment = {"PYTHONPATH": str(PAGE.parents[1])}
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert ended.stderr == ""
    assert [line[:6] for line in ended.stdout.splitlines()] == [f"band {band}" for band in range(5)]
    assert (tmp_path / "cat.png").read_bytes().startswith(b"\x89PNG")
