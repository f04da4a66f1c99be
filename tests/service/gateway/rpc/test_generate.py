"""Laws of Generate and GenerateStream: what is drawn, and who ends it."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import grpc
import pytest

from nfig_proto.v1 import image_generation_pb2 as pb
from service.domain import JobFailed, JobState
from service.engine.fake_engine import FakeEngine
from service.jobs.memory_queue import MemoryQueue
from tests.service.gateway.rpc.refusals import code_of, field_of, refused

RED = pb.ImageSpec(class_name="red", seed=11)
CAT = pb.ImageSpec(class_name="cat", seed=1)


def spec_of(base: pb.ImageSpec, **changes: Any) -> pb.ImageSpec:
    spec = pb.ImageSpec(**changes)
    merged = pb.ImageSpec()
    merged.CopyFrom(base)
    merged.MergeFrom(spec)
    return merged


async def drawn(door: Any, spec: pb.ImageSpec, **options: Any) -> Any:
    return await door.stub.Generate(pb.GenerateRequest(spec=spec), **options)


def stream(door: Any, spec: pb.ImageSpec, **options: Any) -> Any:
    return door.stub.GenerateStream(pb.GenerateStreamRequest(spec=spec), **options)


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


async def test_an_answer_has_the_images_and_what_was_settled(whole_door: Any) -> None:
    answer = await drawn(whole_door, spec_of(RED, num_images=2))
    assert (answer.job.model, answer.job.class_label, answer.job.seed) == ("fake", 0, 11)
    assert answer.job.bands == 5
    assert answer.job.created_at.seconds > 0
    assert [image.image_index for image in answer.images] == [0, 1]
    for image in answer.images:
        assert image.picture.format == pb.PICTURE_FORMAT_PNG
        assert (image.picture.side, image.bands_completed, len(image.band_seconds)) == (64, 5, 5)
        assert image.picture.num_bytes == len(image.picture.content)


@pytest.mark.parametrize("picture_format", ["PNG", "JPEG", "WEBP"])
async def test_the_same_seed_gives_the_same_bytes_through_both_doors(
    whole_door: Any, picture_format: str
) -> None:
    spec = spec_of(RED, picture_format=f"PICTURE_FORMAT_{picture_format}", bands=4)
    body = {"prompt": "red", "seed": 11, "bands": 4, "output_format": picture_format.lower()}
    rest = await whole_door.rest.post("/v1/images/generations", json=body)
    expected = base64.b64decode(rest.json()["data"][0]["b64_json"])
    (image,) = (await drawn(whole_door, spec)).images
    assert image.picture.content == expected
    *_, last = [event async for event in stream(whole_door, spec_of(spec, previews=3))]
    assert last.image.picture.content == expected


async def test_a_label_and_its_name_and_its_text_are_the_same_class(whole_door: Any) -> None:
    choices = [pb.ImageSpec(class_label=2, seed=1), pb.ImageSpec(class_name="lime", seed=1)]
    choices.append(pb.ImageSpec(class_name="2", seed=1))
    answers = [await drawn(whole_door, spec) for spec in choices]
    assert len({answer.images[0].picture.digest for answer in answers}) == 1


async def test_a_stream_tells_the_job_then_every_band_then_the_images(door: Any) -> None:
    events = [event async for event in stream(door, spec_of(CAT, previews=2, num_images=2))]
    assert events[0].accepted.id == "job-0"
    for index in range(2):
        bands = [e.band for e in events if e.HasField("band") and e.band.image_index == index]
        assert [band.band for band in bands] == [0, 1, 2, 3, 4]
        assert [band.band for band in bands if band.HasField("preview")] == [1, 3]
        assert all(b.preview.content for b in bands if b.HasField("preview"))
    images = [event.image.image_index for event in events if event.HasField("image")]
    assert (images, events[-1].WhichOneof("event")) == ([0, 1], "image")
    elapsed = [event.elapsed_ms for event in events]
    assert elapsed == sorted(elapsed)


async def test_a_dropped_preview_leaves_its_band(door: Any) -> None:
    door.queue.without_previews_of = frozenset({3})
    events = [event async for event in stream(door, spec_of(CAT, previews=4))]
    bands = [event.band for event in events if event.HasField("band")]
    assert [band.HasField("preview") for band in bands] == [True, True, True, False, False]


async def test_previews_are_refused_where_nobody_would_see_them(door: Any) -> None:
    error = await refused(drawn(door, spec_of(CAT, previews=1)))
    assert (code_of(error), field_of(error)) == ("invalid_request", "spec.previews")


async def test_a_deadline_of_the_call_ends_the_job(door: Any) -> None:
    door.queue.hang_after_band = 1
    error = await refused(drawn(door, CAT, timeout=0.2))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await until(lambda: door.queue.cancelled == ["job-0"] and not door.queue.reading)


async def test_a_deadline_of_the_call_ends_the_job_of_a_stream(door: Any) -> None:
    door.queue.hang_after_band = 1
    call = stream(door, CAT, timeout=0.2)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        [event async for event in call]
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await until(lambda: door.queue.cancelled == ["job-0"] and not door.queue.reading)


async def test_a_cancelled_call_ends_the_job(door: Any) -> None:
    door.queue.hang_after_band = 1
    call = door.stub.Generate(pb.GenerateRequest(spec=CAT))
    await until(lambda: door.queue.reading)
    call.cancel()
    await until(lambda: door.queue.cancelled == ["job-0"] and not door.queue.reading)


@pytest.mark.parametrize("seen", [1, 2, 4])
async def test_a_cancelled_stream_ends_the_job_at_any_band(door: Any, seen: int) -> None:
    door.queue.hang_after_band = seen - 1
    call = stream(door, CAT)
    for _ in range(seen):
        await call.read()
    assert door.services.metrics.stream_clients._value.get() == 1
    call.cancel()
    await until(lambda: door.queue.cancelled == ["job-0"] and not door.queue.reading)
    assert door.services.metrics.stream_clients._value.get() == 0


async def test_a_caller_who_leaves_while_the_job_is_accepted_ends_it(
    door: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = door.queue.submit
    arrived = asyncio.Event()

    async def slow(request: Any, **options: Any) -> Any:
        arrived.set()
        await asyncio.sleep(0.1)
        return await submit(request, **options)

    monkeypatch.setattr(door.queue, "submit", slow)
    call = door.stub.Generate(pb.GenerateRequest(spec=CAT))
    # The call is sent by whoever waits for it.
    waiting = asyncio.ensure_future(call.code())
    await arrived.wait()
    call.cancel()
    assert await waiting is grpc.StatusCode.CANCELLED
    await until(lambda: door.queue.cancelled == ["job-0"])


async def test_a_cancelled_call_frees_the_engine_at_the_next_band(
    whole_door: Any, queue: MemoryQueue, engine: FakeEngine
) -> None:
    engine.band_seconds = 0.1
    call = stream(whole_door, RED)
    job_id = (await call.read()).accepted.id
    while not (await call.read()).HasField("band"):
        pass
    call.cancel()
    async with asyncio.timeout(5):
        while await queue.depth():
            await asyncio.sleep(0.01)
    assert (await queue.job(job_id)).state is JobState.CANCELLED
    assert len(await queue.history(job_id)) < 2 + 5


async def test_events_leave_as_they_happen(door: Any) -> None:
    door.queue.hang_after_band = 0
    call = stream(door, CAT)
    async with asyncio.timeout(5):
        assert (await call.read()).WhichOneof("event") == "accepted"
        assert (await call.read()).band.band == 0
    call.cancel()


async def test_a_failed_job_is_its_catalogued_error(door: Any) -> None:
    door.queue.fail_after_band = (1, JobFailed(code="engine_unavailable", message="Triton left"))
    error = await refused(drawn(door, CAT))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert (code_of(error), error.details()) == ("engine_unavailable", "Triton left")
    call = stream(door, CAT)
    kinds = []
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        async for event in call:
            kinds.append(event.WhichOneof("event"))
    assert kinds == ["accepted", "band", "band"]
    assert code_of(raised.value) == "engine_unavailable"


async def test_the_services_own_time_limit_is_a_catalogued_error(open_door: Any) -> None:
    door = await open_door(request_timeout_seconds=0.1)
    door.queue.hang_after_band = 1
    error = await refused(drawn(door, CAT))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert code_of(error) == "deadline_exceeded"
    await until(lambda: door.queue.cancelled == ["job-0"])


async def test_models_are_listed_with_their_classes_and_defaults(door: Any) -> None:
    (model,) = (await door.stub.ListModels(pb.ListModelsRequest())).models
    assert (model.id, model.engine, model.image_size) == ("tiny", pb.ENGINE_STATE_READY, 64)
    assert list(model.grid_sides) == [1, 2, 3, 4, 8]
    assert list(model.class_names) == ["cat", "dog", "crane", "crane", "7"]
    assert (model.guidance_scale, model.top_k) == (1.5, 100)
