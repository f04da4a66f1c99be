"""Laws of `deadline_ms` and `start_within_ms` over gRPC; those of the call's own are elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import grpc
import pytest

from nfig_proto.v1 import image_generation_pb2 as pb
from service.domain import JobState
from service.engine.fake_engine import FakeEngine
from service.jobs.pace import Pace, StepTime
from service.jobs.queue import Backlog
from tests.service.gateway.rpc.refusals import code_of, details_of, field_of, refused

STEP = StepTime(median=1.0, p90=1.0)
PACE = Pace(bands=(STEP,) * 5, picture=STEP, job=StepTime(median=6.0, p90=8.0), jobs_at_once=2.0)


async def drawn(door: Any, **spec: Any) -> Any:
    return await door.stub.Generate(pb.GenerateRequest(spec=pb.ImageSpec(**spec)))


@pytest.fixture
def paced(door: Any) -> Any:
    """A door that knows how long things take, before a long queue."""
    door.queue.statuses = [replace(door.queue.statuses[0], pace=PACE)]
    door.queue.has_backlog = Backlog(waiting=3, running=2)
    return door


async def test_a_deadline_gives_the_image_of_the_bands_that_fit(
    whole_door: Any, engine: FakeEngine
) -> None:
    engine.band_seconds = 0.2
    image = (await drawn(whole_door, class_name="red", seed=1, deadline_ms=700)).images[0]
    assert 1 <= image.bands_completed < 5
    bands = image.bands_completed
    same = (await drawn(whole_door, class_name="red", seed=1, bands=bands)).images[0]
    assert image.picture == same.picture


@pytest.mark.parametrize(
    ("limits", "code", "field"),
    [
        ({"deadline_ms": 0}, "invalid_request", "spec.deadline_ms"),
        ({"start_within_ms": 0}, "invalid_request", "spec.start_within_ms"),
        ({"deadline_ms": 1000}, "deadline_too_short", "spec.deadline_ms"),
        ({"deadline_ms": 5000}, "deadline_unattainable", "spec.deadline_ms"),
        ({"start_within_ms": 5000}, "deadline_unattainable", "spec.start_within_ms"),
    ],
)
async def test_what_cannot_be_kept_is_refused_by_name(
    paced: Any, limits: dict[str, int], code: str, field: str
) -> None:
    error = await refused(drawn(paced, class_name="cat", **limits))
    assert (code_of(error), field_of(error)) == (code, field)
    assert ("RetryInfo" in details_of(error)) == (code == "deadline_unattainable")


@pytest.mark.parametrize("said", [{}, {"start_within_ms": 60_000}], ids=["alone", "longer"])
async def test_a_call_that_would_end_before_its_job_starts_is_refused_at_once(
    paced: Any, said: dict[str, int]
) -> None:
    spec = pb.ImageSpec(class_name="cat", **said)
    error = await refused(paced.stub.Generate(pb.GenerateRequest(spec=spec), timeout=8))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (code_of(error), field_of(error)) == ("deadline_unattainable", "deadline")
    assert 3.5 < details_of(error)["RetryInfo"].retry_delay.ToMilliseconds() / 1000 < 5
    assert (await paced.stub.Generate(pb.GenerateRequest(spec=spec), timeout=20)).images


async def test_a_limit_out_of_range_is_refused_whatever_the_calls_own(door: Any) -> None:
    spec = pb.ImageSpec(class_name="cat", start_within_ms=10**12)
    error = await refused(door.stub.Generate(pb.GenerateRequest(spec=spec), timeout=8))
    assert (code_of(error), field_of(error)) == ("invalid_request", "spec.start_within_ms")


async def test_who_waits_in_vain_is_told_which_limit_is_over(
    door: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.gateway.patience.LATE_SECONDS", 0.1)
    door.queue.hang_after_band = 0
    error = await refused(drawn(door, class_name="cat", deadline_ms=100))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert (code_of(error), field_of(error)) == ("deadline_exceeded", "spec.deadline_ms")


async def test_a_job_that_has_not_ended_tells_when_it_is_likely_to(paced: Any) -> None:
    spec = pb.ImageSpec(class_name="cat")
    paced.queue.hang_after_band = 0
    job_id = (await paced.stub.CreateJob(pb.CreateJobRequest(spec=spec))).job.id
    seen = []
    for state in (JobState.QUEUED, JobState.COMPLETED):
        paced.queue.jobs[job_id] = replace(paced.queue.jobs[job_id], state=state)
        seen.append((await paced.stub.GetJob(pb.GetJobRequest(job_id=job_id))).job)
    # Four bands and the picture are missing.
    assert seen[0].estimated_end_ms == 5000
    assert not seen[1].HasField("estimated_end_ms")


async def test_a_job_tells_its_limits(whole_door: Any) -> None:
    spec = pb.ImageSpec(class_name="red", deadline_ms=60_000, start_within_ms=50_000)
    job = (await whole_door.stub.CreateJob(pb.CreateJobRequest(spec=spec))).job
    assert (job.deadline_ms, job.start_within_ms) == (60_000, 50_000)
    plain = pb.CreateJobRequest(spec=pb.ImageSpec(class_name="red"))
    other = (await whole_door.stub.CreateJob(plain)).job
    assert not (other.HasField("deadline_ms") or other.HasField("start_within_ms"))
