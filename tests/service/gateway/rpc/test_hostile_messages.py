"""Whatever a caller sends: a catalogued refusal that names a field, never a defect of ours."""

from __future__ import annotations

from typing import Any

import grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nfig_proto.v1 import image_generation_pb2 as pb
from service.errors import CATALOGUE
from tests.service.gateway.rpc.refusals import code_of, field_of

SETTINGS = settings(
    max_examples=150,
    deadline=None,
    # The door keeps nothing between calls that an example could spoil.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
CODES = {entry.code for entry in CATALOGUE.values()}
INT32 = st.integers(-(2**31), 2**31 - 1) | st.integers(-2, 12)
INT64 = st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 12)
DOUBLES = st.floats() | st.sampled_from([0.0, 0.5, 1.0, 100.0])
TEXTS = st.text(max_size=300) | st.sampled_from(["cat", "crane", "0", "tiny", "\x00"])
SPECS = st.builds(
    lambda fields: pb.ImageSpec(**fields),
    st.fixed_dictionaries(
        {},
        optional={
            "class_label": INT32,
            "class_name": TEXTS,
            "model": TEXTS,
            "num_images": INT32,
            "seed": INT64,
            "guidance_scale": DOUBLES,
            "top_k": INT32,
            "top_p": DOUBLES,
            "temperature": DOUBLES,
            "bands": INT32,
            "previews": INT32,
            "picture_format": INT32,
            "picture_quality": INT32,
            "deadline_ms": INT64,
            "start_within_ms": INT64,
            "brownout": INT32,
            "priority": INT32,
        },
    ),
)
METHODS = st.sampled_from(
    ["Generate", "GenerateStream", "CreateJob", "GetJob", "CancelJob", "WatchJob", "ListModels"]
)


async def answered(door: Any, method: str, raw: bytes) -> None:
    """Sends the bytes; whatever comes back is an answer or a catalogued refusal."""
    streams = method in ("GenerateStream", "WatchJob")
    make = door.channel.unary_stream if streams else door.channel.unary_unary
    call = make(f"/nfig.v1.ImageGenerationService/{method}")(raw, timeout=20)
    try:
        _ = [message async for message in call] if streams else await call
    except grpc.aio.AioRpcError as error:
        assert error.code() not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN), error
        assert code_of(error) in CODES
        assert field_of(error)
        assert len(error.details() or "") < 500


@SETTINGS
@given(spec=SPECS, method=st.sampled_from(["Generate", "GenerateStream", "CreateJob"]))
async def test_hostile_specs_are_refused_by_name(
    door: Any, spec: pb.ImageSpec, method: str
) -> None:
    request = getattr(pb, f"{method}Request")(spec=spec)
    await answered(door, method, request.SerializeToString())


@SETTINGS
@given(job_id=TEXTS, after=TEXTS, method=st.sampled_from(["GetJob", "CancelJob", "WatchJob"]))
async def test_hostile_ids_are_refused_by_name(
    door: Any, job_id: str, after: str, method: str
) -> None:
    fields = {"job_id": job_id, **({"resume_after": after} if method == "WatchJob" else {})}
    await answered(door, method, getattr(pb, f"{method}Request")(**fields).SerializeToString())


@SETTINGS
@given(raw=st.binary(max_size=200), method=METHODS)
async def test_hostile_bytes_are_refused_by_name(door: Any, raw: bytes, method: str) -> None:
    await answered(door, method, raw)
