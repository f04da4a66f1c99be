"""Laws of jobs over gRPC: created, looked at, watched from any point, cancelled."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import grpc
import pytest

from nfig_proto.v1 import image_generation_pb2 as pb
from service.domain import JobFailed
from service.engine.fake_engine import FakeEngine
from service.jobs.memory_queue import MemoryQueue
from tests.service.gateway.rpc.refusals import code_of, field_of, refused

SPEC = pb.ImageSpec(class_name="red", seed=7, num_images=2, previews=2)


async def create(door: Any, **fields: Any) -> Any:
    return await door.stub.CreateJob(pb.CreateJobRequest(**{"spec": SPEC, **fields}))


async def watch(door: Any, job_id: str, **fields: Any) -> list[Any]:
    call = door.stub.WatchJob(pb.WatchJobRequest(job_id=job_id, **fields))
    return [event async for event in call]


async def get(door: Any, job_id: str, **fields: Any) -> Any:
    return (await door.stub.GetJob(pb.GetJobRequest(job_id=job_id, **fields))).job


async def test_a_job_is_accepted_at_once_and_told_as_it_goes(whole_door: Any) -> None:
    job = (await create(whole_door)).job
    assert job.state in (pb.JOB_STATE_QUEUED, pb.JOB_STATE_RUNNING)
    assert (job.model, job.class_label, job.num_images, job.seed) == ("fake", 0, 2, 7)
    await watch(whole_door, job.id)
    done = await get(whole_door, job.id)
    assert (done.state, done.HasField("position")) == (pb.JOB_STATE_COMPLETED, False)
    assert [image.bands_completed for image in done.images] == [5, 5]
    assert not done.HasField("error")


async def test_pictures_of_a_job_come_with_their_bytes_on_demand(whole_door: Any) -> None:
    job = (await create(whole_door)).job
    plain = await watch(whole_door, job.id)
    full = await watch(whole_door, job.id, with_content=True)
    shown = [e.band.preview for e in full if e.band.HasField("preview")]
    shown += [e.image.picture for e in full if e.HasField("image")]
    assert len(shown) == 2 * (2 + 1)
    assert all(len(picture.content) == picture.num_bytes for picture in shown)
    assert not any(e.band.preview.content or e.image.picture.content for e in plain)
    images = (await get(whole_door, job.id, with_content=True)).images
    drawn = {e.image.picture.digest: e.image.picture.content for e in full if e.HasField("image")}
    assert {image.picture.digest: image.picture.content for image in images} == drawn


async def test_a_job_draws_what_the_http_door_draws(whole_door: Any) -> None:
    job = (await create(whole_door)).job
    await watch(whole_door, job.id)
    seen = (await whole_door.rest.get(f"/v1/jobs/{job.id}")).json()
    told = await get(whole_door, job.id)
    assert [image["digest"] for image in seen["images"]] == [
        image.picture.digest for image in told.images
    ]
    body = {"class_label": "red", "seed": 7, "num_images": 2}
    other = await whole_door.rest.post("/v1/jobs", json=body, headers={"prefer": "wait=5"})
    assert [image["digest"] for image in other.json()["images"]] == [
        image.picture.digest for image in told.images
    ]


async def test_from_any_event_on_a_watcher_sees_the_rest(whole_door: Any) -> None:
    job = (await create(whole_door)).job
    events = await watch(whole_door, job.id)
    kinds = [event.WhichOneof("event") for event in events]
    assert (kinds[:2], kinds[-1]) == (["queued", "started"], "completed")
    for index, event in enumerate(events):
        assert await watch(whole_door, job.id, resume_after=event.id) == events[index + 1 :]


async def test_many_watchers_see_each_band_once_and_in_order(
    whole_door: Any, engine: FakeEngine
) -> None:
    engine.band_seconds = 0.02
    job = (await create(whole_door)).job
    logs = await asyncio.gather(*(watch(whole_door, job.id) for _ in range(200)))
    for index in range(2):
        bands = [e.band.band for e in logs[0] if e.band.image_index == index and e.HasField("band")]
        assert bands == [0, 1, 2, 3, 4]
    assert all(log == logs[0] for log in logs)


async def test_a_watcher_who_leaves_leaves_the_job(
    whole_door: Any, engine: FakeEngine, queue: MemoryQueue
) -> None:
    engine.band_seconds = 0.05
    job = (await create(whole_door)).job
    call = whole_door.stub.WatchJob(pb.WatchJobRequest(job_id=job.id))
    await call.read()
    assert whole_door.services.metrics.stream_clients._value.get() == 1
    call.cancel()
    assert (await watch(whole_door, job.id))[-1].HasField("completed")
    assert whole_door.services.metrics.stream_clients._value.get() == 0


async def test_a_running_job_is_cancelled_at_its_next_band(
    whole_door: Any, engine: FakeEngine
) -> None:
    engine.band_seconds = 0.1
    job = (await create(whole_door)).job
    async for event in whole_door.stub.WatchJob(pb.WatchJobRequest(job_id=job.id)):
        if event.HasField("started"):
            await whole_door.stub.CancelJob(pb.CancelJobRequest(job_id=job.id))
        last = event
    assert last.HasField("cancelled")
    again = (await whole_door.stub.CancelJob(pb.CancelJobRequest(job_id=job.id))).job
    assert again.state == pb.JOB_STATE_CANCELLED
    assert again.images[0].bands_completed < again.bands


async def test_a_waiting_job_tells_its_place(whole_door: Any, engine: FakeEngine) -> None:
    engine.band_seconds = 0.2
    spec = pb.ImageSpec(class_name="red", num_images=8)
    jobs = [(await create(whole_door, spec=spec)).job for _ in range(3)]
    async for event in whole_door.stub.WatchJob(pb.WatchJobRequest(job_id=jobs[0].id)):
        if event.HasField("started"):
            break
    seen = [await get(whole_door, job.id) for job in jobs]
    assert [job.HasField("position") for job in seen] == [False, True, True]
    assert [job.position for job in seen[1:]] == [0, 1]


async def test_a_request_sent_again_under_its_key_is_the_same_job(whole_door: Any) -> None:
    first = await create(whole_door, idempotency_key="order-1")
    second = await create(whole_door, idempotency_key="order-1")
    assert (second.job.id, first.replayed, second.replayed) == (first.job.id, False, True)
    other = pb.ImageSpec(class_name="blue")
    error = await refused(create(whole_door, spec=other, idempotency_key="order-1"))
    assert error.code() is grpc.StatusCode.ALREADY_EXISTS
    assert (code_of(error), field_of(error)) == ("idempotency_conflict", "idempotency_key")


async def test_one_key_is_one_job_whichever_door_it_comes_through(whole_door: Any) -> None:
    body = {"class_label": "red", "seed": 7, "num_images": 2, "previews": 2}
    job = (await create(whole_door, idempotency_key="order-2")).job
    answer = await whole_door.rest.post(
        "/v1/jobs", json=body, headers={"idempotency-key": "order-2"}
    )
    assert answer.json()["id"] == job.id


@pytest.mark.parametrize("method", ["GetJob", "CancelJob", "WatchJob"])
@pytest.mark.parametrize(
    ("job_id", "code"),
    [("0" * 32, "not_found"), ("", "invalid_request"), ("a/b", "invalid_request")],
)
async def test_a_job_that_is_none_is_refused_by_name(
    whole_door: Any, method: str, job_id: str, code: str
) -> None:
    call = getattr(whole_door.stub, method)(getattr(pb, f"{method}Request")(job_id=job_id))
    error = await refused(call.read() if method == "WatchJob" else call)
    assert (code_of(error), field_of(error)) == (code, "job_id")


@pytest.mark.parametrize("bad", ["", "x", "1-", "9" * 25])
async def test_a_point_that_is_none_is_refused_by_name(whole_door: Any, bad: str) -> None:
    job = (await create(whole_door)).job
    error = await refused(watch(whole_door, job.id, resume_after=bad))
    assert (code_of(error), field_of(error)) == ("invalid_request", "resume_after")


async def test_a_failed_job_tells_the_catalogued_error(door: Any) -> None:
    door.queue.fail_after_band = (1, JobFailed(code="engine_unavailable", message="Triton left"))
    job = (await create(door, spec=pb.ImageSpec(class_name="cat"))).job
    last = (await watch(door, job.id))[-1]
    assert (last.failed.code, last.failed.retryable) == ("engine_unavailable", True)
    told = await get(door, job.id)
    assert (told.state, told.error) == (pb.JOB_STATE_FAILED, last.failed)


async def test_a_variation_tells_what_it_keeps(door: Any) -> None:
    job_id = (await create(door, spec=pb.ImageSpec(class_name="cat"))).job.id
    assert not (await get(door, job_id)).HasField("keep_bands")
    job = door.queue.jobs[job_id]
    door.queue.jobs[job_id] = replace(job, request=replace(job.request, keep_bands=0))
    told = await get(door, job_id)
    assert (told.HasField("keep_bands"), told.keep_bands) == (True, 0)
