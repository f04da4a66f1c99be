"""Laws of errors over gRPC: the catalogue, rich, with the request id."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status

from nfig_proto.v1 import image_generation_pb2 as pb
from service.errors import CATALOGUE, QueueFull, ServiceError
from service.gateway.rpc.errors import status_of
from tests.service.gateway.rpc.refusals import code_of, details_of, field_of, refused


def request_of(**spec: Any) -> pb.GenerateRequest:
    return pb.GenerateRequest(spec=pb.ImageSpec(**{"class_name": "cat", **spec}))


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.__name__)
def test_every_catalogued_error_has_its_status_and_details(kind: type[ServiceError]) -> None:
    entry = CATALOGUE[kind]
    status: Status = status_of(kind("text", field="spec.seed"), request_id="r-1")
    assert status.code == grpc.StatusCode[entry.grpc_status].value[0]
    assert status.message == "text"
    names = [packed.TypeName().rpartition(".")[2] for packed in status.details]
    retry = ["RetryInfo"] if entry.retryable else []
    assert names == ["ErrorInfo", "RequestInfo", "BadRequest", *retry]
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == (entry.code, "nfig")


@pytest.mark.parametrize(
    ("spec", "field", "code"),
    [
        ({"class_name": "unicorn"}, "spec.class_name", "unknown_class"),
        ({"class_label": 99}, "spec.class_label", "unknown_class"),
        ({"model": "other"}, "spec.model", "unknown_model"),
        ({"num_images": 11}, "spec.num_images", "invalid_request"),
        ({"seed": -1}, "spec.seed", "invalid_request"),
        ({"bands": 6}, "spec.bands", "invalid_request"),
        ({"top_p": float("nan")}, "spec.top_p", "invalid_request"),
        ({"temperature": float("inf")}, "spec.temperature", "invalid_request"),
        ({"picture_format": 9}, "spec.picture_format", "invalid_request"),
        ({"picture_quality": 50}, "spec.picture_quality", "invalid_request"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_bad_input_is_refused_by_name(
    door: Any, spec: dict[str, Any], field: str, code: str
) -> None:
    error = await refused(door.stub.Generate(request_of(**spec)))
    assert (field_of(error), code_of(error)) == (field, code)
    assert field in (error.details() or "")
    assert not door.queue.requests


async def test_a_class_must_be_said(door: Any) -> None:
    error = await refused(door.stub.Generate(pb.GenerateRequest()))
    assert (field_of(error), code_of(error)) == ("spec.class_label", "invalid_request")


async def test_a_field_that_is_not_known_is_refused_by_its_number(door: Any) -> None:
    raw = request_of().SerializeToString() + b"\x92\x03\x01x"
    nested = pb.ImageSpec(class_name="cat").SerializeToString() + b"\x98\x06\x01"
    call = door.channel.unary_unary("/nfig.v1.ImageGenerationService/Generate")
    assert field_of(await refused(call(raw))) == "50"
    wrapped = b"\x0a" + bytes([len(nested)]) + nested
    assert field_of(await refused(call(wrapped))) == "spec.99"


async def test_a_full_queue_says_when_to_come_back(door: Any) -> None:
    door.queue.refuse_submit = QueueFull("full", retry_after_s=1.5)
    error = await refused(door.stub.Generate(request_of()))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert details_of(error)["RetryInfo"].retry_delay.ToMilliseconds() == 1500
    assert "BadRequest" not in details_of(error)
    refusals = door.services.metrics.jobs_refused.labels(reason="queue_full")
    assert refusals._value.get() == 1


@pytest.mark.parametrize("trouble", ["down", "silent"])
async def test_a_queue_that_is_gone_is_unavailable_at_once(door: Any, trouble: str) -> None:
    setattr(door.queue, trouble, True)
    for call in (
        door.stub.Generate(request_of(), timeout=5),
        door.stub.ListModels(pb.ListModelsRequest(), timeout=5),
        door.stub.GetJob(pb.GetJobRequest(job_id="job-0"), timeout=5),
        door.stub.WatchJob(pb.WatchJobRequest(job_id="job-0"), timeout=5).read(),
    ):
        error = await refused(call)
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert code_of(error) == "queue_unavailable"


async def test_a_defect_is_logged_and_told_without_its_secrets(
    door: Any, caplog: pytest.LogCaptureFixture
) -> None:
    door.queue.refuse_submit = RuntimeError("secret")
    metadata = (("x-request-id", "mine-1"),)
    error = await refused(door.stub.Generate(request_of(), metadata=metadata))
    assert (error.code(), code_of(error)) == (grpc.StatusCode.INTERNAL, "internal")
    assert "secret" not in str(error)
    assert "mine-1" in caplog.text
    assert "secret" in caplog.text


async def test_the_callers_request_id_comes_back(door: Any) -> None:
    call = door.stub.Generate(request_of(), metadata=(("x-request-id", "mine-2"),))
    assert dict(await call.initial_metadata())["x-request-id"] == "mine-2"
    error = await refused(
        door.stub.Generate(request_of(seed=-1), metadata=(("x-request-id", "mine-3"),))
    )
    assert details_of(error)["RequestInfo"].request_id == "mine-3"
    assert dict(error.initial_metadata())["x-request-id"] == "mine-3"


@pytest.mark.parametrize("given", ["", "a b", "x" * 129])
async def test_a_request_id_that_would_spoil_the_log_is_replaced(door: Any, given: str) -> None:
    call = door.stub.Generate(request_of(), metadata=(("x-request-id", given),))
    assert dict(await call.initial_metadata())["x-request-id"].startswith("req_")
