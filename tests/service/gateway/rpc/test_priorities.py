"""Priorities over gRPC travel with the job, and are refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from nfig_proto.v1 import image_generation_pb2 as pb
from tests.service.gateway.rpc.refusals import code_of, field_of, refused

SAID = {
    pb.PRIORITY_UNSPECIFIED: pb.PRIORITY_NORMAL,
    pb.PRIORITY_LOW: pb.PRIORITY_LOW,
    pb.PRIORITY_NORMAL: pb.PRIORITY_NORMAL,
    pb.PRIORITY_HIGH: pb.PRIORITY_HIGH,
}


@pytest.mark.parametrize("said", SAID)
async def test_a_job_has_the_priority_that_was_asked_for(door: Any, said: Any) -> None:
    request = pb.CreateJobRequest(spec=pb.ImageSpec(class_label=1, priority=said))
    job = (await door.stub.CreateJob(request, timeout=10)).job
    assert job.priority == SAID[said]


async def test_another_number_is_refused_by_name(door: Any) -> None:
    request = pb.GenerateRequest(spec=pb.ImageSpec(class_name="cat", priority=7))  # type: ignore[arg-type]
    error = await refused(door.stub.Generate(request, timeout=10))
    assert (code_of(error), field_of(error)) == ("invalid_request", "spec.priority")
