"""Laws of shedding bands over gRPC: consent and marks."""

from __future__ import annotations

from typing import Any

import pytest

from nfig_proto.v1 import image_generation_pb2 as pb
from tests.service.gateway.rpc.refusals import code_of, field_of, refused

ALLOW, NEVER = pb.BROWNOUT_ALLOW, pb.BROWNOUT_NEVER


@pytest.fixture
async def shedding(open_door: Any, browned_out: Any) -> Any:
    return await open_door(browned_out, queue_timeout_seconds=5)


def spec(**fields: Any) -> pb.ImageSpec:
    return pb.ImageSpec(class_name="red", seed=1, **fields)


@pytest.mark.parametrize(
    ("fields", "bands"), [({}, 2), ({"brownout": ALLOW}, 2), ({"brownout": NEVER}, 5)]
)
async def test_an_image_that_was_cut_says_so(
    shedding: Any, fields: dict[str, Any], bands: int
) -> None:
    answer = await shedding.stub.Generate(pb.GenerateRequest(spec=spec(**fields)), timeout=10)
    (image,) = answer.images
    assert (image.bands_completed, image.shed) == (bands, bands == 2)
    request = pb.GenerateStreamRequest(spec=spec(**fields))
    *_, last = [event async for event in shedding.stub.GenerateStream(request, timeout=10)]
    assert (last.image.bands_completed, last.image.shed) == (bands, bands == 2)


@pytest.mark.parametrize("brownout", [ALLOW, NEVER])
async def test_a_job_and_its_log_say_it(shedding: Any, brownout: Any) -> None:
    request = pb.CreateJobRequest(spec=spec(brownout=brownout))
    job = (await shedding.stub.CreateJob(request, timeout=10)).job
    assert job.brownout == brownout
    watch = shedding.stub.WatchJob(pb.WatchJobRequest(job_id=job.id), timeout=10)
    images = [event.image async for event in watch if event.HasField("image")]
    assert [image.shed for image in images] == [brownout == ALLOW]
    job = (await shedding.stub.GetJob(pb.GetJobRequest(job_id=job.id), timeout=10)).job
    assert [image.shed for image in job.images] == [brownout == ALLOW]


async def test_another_number_is_refused_by_name(door: Any) -> None:
    request = pb.GenerateRequest(spec=pb.ImageSpec(class_name="cat", brownout=7))  # type: ignore[arg-type]
    error = await refused(door.stub.Generate(request, timeout=10))
    assert (code_of(error), field_of(error)) == ("invalid_request", "spec.brownout")
