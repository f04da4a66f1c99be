"""Laws of keys over gRPC: the same keys, tenants and limits as over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from nfig_proto.v1 import image_generation_pb2 as pb
from service.gateway.access.keys import new_key
from service.jobs.memory_queue import MemoryQueue
from tests.service.gateway.rpc.refusals import code_of, details_of, field_of, refused

ACME, ZEAL = new_key("acme"), new_key("zeal")
RED = pb.ImageSpec(class_name="red", seed=1)


def by(key: str) -> dict[str, Any]:
    return {"metadata": (("authorization", f"Bearer {key}"),)}


@pytest.fixture
def keys(tmp_path: Path) -> str:
    path = tmp_path / "keys.toml"
    limits = "[tenants.zeal]\nrequests_per_minute = 2\nimages_per_request = 1\n"
    path.write_text(limits + ACME.entry + ZEAL.entry)
    return str(path)


@pytest.fixture
async def guarded(open_door: Any, queue: MemoryQueue, keys: str) -> Any:
    """A door that asks for keys."""
    return await open_door(queue, queue_timeout_seconds=5, api_keys_file=keys)


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("authorization", f"Bearer {new_key('acme').key}"),),
        (("authorization", ACME.key),),
        (("authorization", f"Basic {ACME.key}"),),
    ],
    ids=["none", "unknown", "bare", "scheme"],
)
async def test_without_a_known_key_nothing_is_answered(guarded: Any, metadata: Any) -> None:
    for method in ("Generate", "CreateJob", "GetJob", "CancelJob", "ListModels"):
        call = guarded.channel.unary_unary(f"/nfig.v1.ImageGenerationService/{method}")
        # The message is never looked at.
        error = await refused(call(b"\xff", metadata=metadata))
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        assert code_of(error) == "invalid_api_key"
    for method in ("GenerateStream", "WatchJob"):
        call = guarded.channel.unary_stream(f"/nfig.v1.ImageGenerationService/{method}")
        error = await refused(call(b"\xff", metadata=metadata).read())
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_key_opens_the_door(guarded: Any) -> None:
    answer = await guarded.stub.Generate(pb.GenerateRequest(spec=RED), **by(ACME.key))
    assert len(answer.images) == 1


async def test_probes_need_no_key(guarded: Any) -> None:
    answer = await HealthStub(guarded.channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_the_job_of_another_tenant_is_not_found(guarded: Any) -> None:
    created = await guarded.stub.CreateJob(pb.CreateJobRequest(spec=RED), **by(ACME.key))
    job_id = created.job.id
    stub = guarded.stub
    for call in (
        stub.GetJob(pb.GetJobRequest(job_id=job_id), **by(ZEAL.key)),
        stub.CancelJob(pb.CancelJobRequest(job_id=job_id), **by(ZEAL.key)),
        stub.WatchJob(pb.WatchJobRequest(job_id=job_id), **by(ZEAL.key)).read(),
    ):
        error = await refused(call)
        assert (code_of(error), field_of(error)) == ("not_found", "job_id")
    log = stub.WatchJob(pb.WatchJobRequest(job_id=job_id), **by(ACME.key))
    assert [event async for event in log][-1].HasField("completed")


async def test_a_tenant_over_its_limit_is_told_when_to_come_back(guarded: Any) -> None:
    for _ in range(2):
        await guarded.stub.Generate(pb.GenerateRequest(spec=RED), **by(ZEAL.key))
    error = await refused(guarded.stub.Generate(pb.GenerateRequest(spec=RED), **by(ZEAL.key)))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert code_of(error) == "rate_limit_exceeded"
    assert details_of(error)["RetryInfo"].retry_delay.ToMilliseconds() > 0
    # Looking costs nothing, and others are not touched.
    await guarded.stub.ListModels(pb.ListModelsRequest(), **by(ZEAL.key))
    await guarded.stub.Generate(pb.GenerateRequest(spec=RED), **by(ACME.key))


async def test_a_tenants_own_limit_of_images_holds(guarded: Any) -> None:
    spec = pb.ImageSpec(class_name="red", num_images=2)
    error = await refused(guarded.stub.Generate(pb.GenerateRequest(spec=spec), **by(ZEAL.key)))
    assert (code_of(error), field_of(error)) == ("invalid_request", "spec.num_images")
