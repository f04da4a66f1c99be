"""The official `openai` client works unchanged, over a real connection."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import openai
import pytest

from service.domain import JobFailed
from service.jobs.pace import Pace, StepTime

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def queue(scripted_queue: Any) -> Any:
    return scripted_queue()


@pytest.fixture
async def client(listen: Any, queue: Any) -> AsyncGenerator[openai.AsyncOpenAI]:
    url = await listen(queue, queue_timeout_seconds=1)
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as opened:
        yield opened


async def test_generate(client: openai.AsyncOpenAI, queue: Any) -> None:
    answer = await client.images.generate(prompt="cat", n=2, extra_body={"seed": 7})
    assert answer.data is not None
    assert len(answer.data) == 2
    assert answer.output_format == "png"
    assert answer.size == "64x64"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 1 + 2 * 94
    for image in answer.data:
        assert image.b64_json is not None
        assert base64.b64decode(image.b64_json) in queue.pictures.values()
    assert queue.requests[0].seed == 7


async def test_extensions_come_back_as_extra_fields(client: openai.AsyncOpenAI) -> None:
    answer = await client.images.generate(prompt="cat", extra_body={"seed": 7, "bands": 2})
    assert answer.data is not None
    assert answer.data[0].model_extra is not None
    assert answer.data[0].model_extra["bands_completed"] == 2
    assert answer.data[0].model_extra["band_latencies_ms"] == [1.0, 2.0]


async def test_time_limits(client: openai.AsyncOpenAI, queue: Any) -> None:
    limits = {"deadline_ms": 60_000, "start_within_ms": 30_000}
    await client.images.generate(prompt="cat", extra_body=limits)
    assert (queue.requests[0].deadline_ms, queue.requests[0].start_within_ms) == (60_000, 30_000)
    second = StepTime(median=1.0, p90=1.0)
    pace = Pace(bands=(second,), picture=second, job=second, jobs_at_once=1.0)
    queue.statuses = [replace(queue.statuses[0], pace=pace)]
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        await client.images.generate(prompt="cat", extra_body={"deadline_ms": 100})
    assert (caught.value.code, caught.value.param) == ("deadline_too_short", "deadline_ms")


async def test_url(client: openai.AsyncOpenAI, queue: Any) -> None:
    answer = await client.images.generate(prompt="cat", response_format="url")
    assert answer.data is not None
    url = answer.data[0].url
    assert url is not None
    picture = await client.get(url, cast_to=openai.HttpxBinaryResponseContent)
    assert picture.content in queue.pictures.values()


async def test_stream(client: openai.AsyncOpenAI, queue: Any) -> None:
    stream = await client.images.generate(prompt="cat", stream=True, partial_images=3)
    events = [event async for event in stream]
    assert [event.type for event in events] == ["image_generation.partial_image"] * 3 + [
        "image_generation.completed"
    ]
    for event in events:
        assert base64.b64decode(event.b64_json) in queue.pictures.values()
    assert events[-1].type == "image_generation.completed"
    assert events[-1].usage.output_tokens == 94


async def test_events_validate_against_the_clients_own_models(client: openai.AsyncOpenAI) -> None:
    stream = await client.images.generate(prompt="cat", stream=True, partial_images=1)
    async for event in stream:
        # The client builds events without validation; here nothing may be missing or odd.
        type(event).model_validate(event.model_dump())


async def test_models(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["tiny"]
    assert (await client.models.retrieve("tiny")).object == "model"


async def test_bad_input_raises_bad_request(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.images.generate(prompt="unicorn")
    assert (caught.value.code, caught.value.param) == ("unknown_class", "prompt")
    assert caught.value.request_id


async def test_an_unknown_model_raises_not_found(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await client.images.generate(prompt="cat", model="gpt-image-1")
    assert caught.value.param == "model"


async def test_an_absent_engine_raises_a_server_error(
    client: openai.AsyncOpenAI, queue: Any
) -> None:
    queue.statuses = []
    with pytest.raises(openai.InternalServerError) as caught:
        await client.images.generate(prompt="cat")
    assert (caught.value.status_code, caught.value.code) == (503, "engine_unavailable")


async def test_what_is_retryable_is_retried(client: openai.AsyncOpenAI, queue: Any) -> None:
    queue.fail_after_band = (0, JobFailed(code="engine_unavailable", message="gone"))
    retrying = client.with_options(max_retries=1)
    with pytest.raises(openai.InternalServerError):
        await retrying.images.generate(prompt="cat")
    assert len(queue.requests) == 2
    queue.fail_after_band = (0, JobFailed(code="internal", message="broken"))
    with pytest.raises(openai.InternalServerError):
        await retrying.images.generate(prompt="cat")
    assert len(queue.requests) == 3


async def test_an_error_in_the_stream_is_raised(client: openai.AsyncOpenAI, queue: Any) -> None:
    queue.fail_after_band = (1, JobFailed(code="engine_unavailable", message="Triton is gone"))
    stream = await client.images.generate(prompt="cat", stream=True, partial_images=4)
    seen = []
    with pytest.raises(openai.APIError, match="Triton is gone") as caught:
        async for event in stream:
            seen.append(event.type)
    assert seen == ["image_generation.partial_image"] * 2
    assert caught.value.code == "engine_unavailable"
