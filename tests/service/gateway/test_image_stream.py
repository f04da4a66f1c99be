"""Laws of `POST /v1/images/generations` with `stream: true`."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest

from service.domain import JobFailed


def parse(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Name and data of each event, comments left out."""
    events = []
    for frame in text.split("\n\n"):
        lines = [line for line in frame.split("\n") if line and not line.startswith(":")]
        if not lines:
            continue
        name, data = lines
        events.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return events


async def stream(gateway: Any, **fields: object) -> list[tuple[str, dict[str, Any]]]:
    answer = await gateway.generate({"prompt": "cat", "stream": True, **fields})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    return parse(answer.text)


async def test_previews_come_first_and_the_image_last(gateway: Any) -> None:
    events = await stream(gateway, partial_images=3, seed=4)
    assert [name for name, _ in events] == ["image_generation.partial_image"] * 3 + [
        "image_generation.completed"
    ]
    assert all(name == data["type"] for name, data in events)
    assert [data["band"] for _, data in events] == [0, 2, 3, 4]
    assert [data["partial_image_index"] for _, data in events[:3]] == [0, 1, 2]
    assert {data["seed"] for _, data in events} == {4}
    assert {data["bands"] for _, data in events} == {5}
    elapsed = [data["elapsed_ms"] for _, data in events]
    assert elapsed == sorted(elapsed)
    assert [data["band_latency_ms"] for _, data in events[:3]] == [1.0, 3.0, 4.0]


async def test_the_end_tells_latencies_and_tokens(gateway: Any) -> None:
    ((_, done),) = await stream(gateway, bands=3)
    assert done["band_latencies_ms"] == [1.0, 2.0, 3.0]
    assert (done["bands_completed"], done["band"]) == (3, 2)
    assert done["usage"]["output_tokens"] == 1 + 4 + 9
    assert done["usage"]["total_tokens"] == 1 + done["usage"]["output_tokens"]


async def test_the_stream_ends_in_the_bytes_of_the_plain_answer(gateway: Any) -> None:
    plain = (await gateway.generate({"prompt": "cat", "seed": 8})).json()["data"][0]
    (*_, (_, done)) = await stream(gateway, seed=8, partial_images=4)
    assert done["b64_json"] == plain["b64_json"]


async def test_a_dropped_preview_leaves_a_gap_and_nothing_else(gateway: Any) -> None:
    gateway.queue.without_previews_of = frozenset({2})
    events = await stream(gateway, partial_images=3)
    assert [data.get("partial_image_index") for _, data in events] == [0, 2, None]


async def test_several_images_are_told_apart(gateway: Any) -> None:
    events = await stream(gateway, n=2, partial_images=1)
    partial = [data["image_index"] for name, data in events if name.endswith("partial_image")]
    done = [data["image_index"] for name, data in events if name.endswith("completed")]
    assert (partial, done) == ([0, 1], [0, 1])


async def test_pictures_are_of_the_format_asked_for(gateway: Any) -> None:
    events = await stream(gateway, output_format="jpeg", partial_images=1)
    for _, data in events:
        assert data["output_format"] == "jpeg"
        assert base64.b64decode(data["b64_json"]) in gateway.queue.pictures.values()


async def test_what_is_refused_at_the_door_is_an_ordinary_error(gateway: Any) -> None:
    answer = await gateway.generate({"prompt": "nobody", "stream": True})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "prompt")
    gateway.queue.statuses = []
    answer = await gateway.generate({"prompt": "cat", "stream": True})
    assert answer.status_code == 503


async def test_a_later_error_is_the_last_event(gateway: Any) -> None:
    failure = JobFailed(code="engine_unavailable", message="Triton is gone")
    gateway.queue.fail_after_band = (1, failure)
    events = await stream(gateway, partial_images=4)
    *previews, (name, data) = events
    assert len(previews) == 2
    assert name == "error"
    assert data["error"]["code"] == "engine_unavailable"
    assert data["error"]["status"] == 503
    assert data["error"]["message"] == "Triton is gone"


async def test_the_time_limit_is_an_error_event_and_cancels(open_gateway: Any) -> None:
    gateway = open_gateway(request_timeout_seconds=0.1)
    gateway.queue.hang_after_band = 1
    events = await stream(gateway)
    assert events[-1][1]["error"]["code"] == "deadline_exceeded"
    await asyncio.sleep(0)
    assert gateway.queue.cancelled == ["job-0"]


async def test_a_silent_stream_is_kept_alive_by_comments(
    open_gateway: Any,
) -> None:
    gateway = open_gateway(keepalive_seconds=0.02)
    gateway.queue.band_gap_seconds = 0.1
    answer = await gateway.generate({"prompt": "cat", "stream": True})
    assert answer.text.count(": ping\n\n") >= 5
    assert parse(answer.text)[-1][0] == "image_generation.completed"


@pytest.mark.parametrize("band", [0, 2, 3])
async def test_a_caller_who_hangs_up_ends_the_job_at_any_band(
    listen: Any, scripted_queue: Any, band: int
) -> None:
    queue = scripted_queue(hang_after_band=band)
    url = await listen(queue)
    body = {"prompt": "cat", "stream": True, "partial_images": 4}
    async with (
        httpx.AsyncClient(base_url=url) as client,
        client.stream("POST", "/v1/images/generations", json=body) as answer,
    ):
        seen = ""
        # Held: where the iterator is forgotten, its connection may be closed at any time.
        texts = answer.aiter_text()
        async for text in texts:
            seen += text
            if len(parse(seen.rpartition("\n\n")[0])) == band + 1:
                break
        metrics = (await client.get("/metrics")).text
        assert "nfig_stream_clients 1.0" in metrics
    async with asyncio.timeout(5):
        while not queue.cancelled or queue.reading:
            await asyncio.sleep(0.01)
    assert queue.cancelled == ["job-0"]
    async with httpx.AsyncClient(base_url=url) as client:
        assert "nfig_stream_clients 0.0" in (await client.get("/metrics")).text


async def test_events_leave_as_they_happen(listen: Any, scripted_queue: Any) -> None:
    queue = scripted_queue(hang_after_band=0)
    url = await listen(queue)
    body = {"prompt": "cat", "stream": True, "partial_images": 4}
    async with (
        asyncio.timeout(5),
        httpx.AsyncClient(base_url=url) as client,
        client.stream("POST", "/v1/images/generations", json=body) as answer,
    ):
        # The job never ends; the first preview must arrive all the same.
        first = await anext(answer.aiter_text())
        assert first.startswith("event: image_generation.partial_image")


async def test_stopping_the_server_ends_open_streams_and_their_jobs(
    listen: Any, scripted_queue: Any
) -> None:
    queue = scripted_queue(hang_after_band=0, cancel_seconds=0.1)
    url = await listen(queue)
    body = {"prompt": "cat", "stream": True}
    async with (
        asyncio.timeout(10),
        httpx.AsyncClient(base_url=url) as client,
        client.stream("POST", "/v1/images/generations", json=body) as answer,
    ):
        assert answer.status_code == 200
        await listen.stop()
    # The queue was told before the server was gone.
    assert queue.cancelled == ["job-0"]
    assert queue.reading == 0


async def test_the_first_preview_is_measured_once_a_job(gateway: Any) -> None:
    await stream(gateway, n=2, partial_images=3)
    await stream(gateway)
    text = (await gateway.client.get("/metrics")).text
    assert 'nfig_first_preview_seconds_count{model="tiny"} 1.0' in text


async def test_a_job_that_redis_has_forgotten_is_worth_another_try(gateway: Any) -> None:
    gateway.queue.forget_jobs = True
    events = await stream(gateway)
    assert events[-1][1]["error"]["code"] == "queue_unavailable"
