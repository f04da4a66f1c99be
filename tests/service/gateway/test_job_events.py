"""Laws of `GET /v1/jobs/{id}/events`."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from service.domain import JobFailed
from service.engine.fake_engine import FakeEngine
from service.errors import QueueUnavailable
from service.jobs.memory_queue import MemoryQueue
from service.jobs.queue import QueueLimits
from tests.queue_calls import lease_one
from tests.requests import request_of

BODY = {"class_label": "red", "seed": 7, "num_images": 2, "previews": 2}


@dataclass(frozen=True)
class Seen:
    name: str
    data: dict[str, Any]
    id: str | None


def parse(text: str) -> list[Seen]:
    """The events of a stream, comments left out."""
    events = []
    for frame in text.split("\n\n"):
        lines = [line for line in frame.split("\n") if line and not line.startswith(":")]
        fields = dict(line.split(": ", 1) for line in lines)
        if fields:
            events.append(Seen(fields["event"], json.loads(fields["data"]), fields.get("id")))
    return events


async def create(gateway: Any, **fields: object) -> str:
    answer = await gateway.client.post("/v1/jobs", json={**BODY, **fields})
    events: str = answer.json()["urls"]["events"]
    return events


async def watch(gateway: Any, url: str, **headers: str) -> list[Seen]:
    answer = await gateway.client.get(url, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    return parse(answer.text)


async def test_a_watcher_sees_the_whole_log_and_then_the_stream_ends(
    whole_gateway: Any, queue: MemoryQueue
) -> None:
    url = await create(whole_gateway)
    events = await watch(whole_gateway, url)
    assert [event.name for event in events[:2]] == ["job.queued", "job.started"]
    assert events[-1].name == "job.completed"
    history = await queue.history(events[0].data["job"])
    assert [event.id for event in events] == [logged.id for logged in history]
    elapsed = [event.data["elapsed_ms"] for event in events]
    assert elapsed == sorted(elapsed)
    for index in range(2):
        bands = [
            event.data["band"]
            for event in events
            if event.name == "band.completed" and event.data["image_index"] == index
        ]
        assert bands == list(range(len(bands)))


async def test_every_picture_of_an_event_is_at_its_address(whole_gateway: Any) -> None:
    events = await watch(whole_gateway, await create(whole_gateway))
    shown = [
        event.data[key] for event in events for key in ("preview", "picture") if event.data.get(key)
    ]
    assert len(shown) == 2 * (2 + 1)
    for picture in shown:
        answer = await whole_gateway.client.get(picture["url"])
        assert answer.headers["etag"] == f'"{picture["digest"]}"'
        assert len(answer.content) == picture["num_bytes"]


async def test_from_any_event_on_a_watcher_sees_the_rest(whole_gateway: Any) -> None:
    url = await create(whole_gateway, num_images=1)
    events = await watch(whole_gateway, url)
    for index, event in enumerate(events[:-1]):
        assert await watch(whole_gateway, url, **{"last-event-id": event.id}) == events[index + 1 :]
        assert await watch(whole_gateway, f"{url}?after={event.id}") == events[index + 1 :]
    # The header is the newer one: a browser repeats the URL that it was given.
    resumed = await watch(whole_gateway, f"{url}?after=0", **{"last-event-id": events[-2].id})
    assert resumed == events[-1:]


async def test_who_has_seen_the_end_is_told_not_to_come_back(whole_gateway: Any) -> None:
    url = await create(whole_gateway, num_images=1)
    last = (await watch(whole_gateway, url))[-1]
    answer = await whole_gateway.client.get(url, headers={"last-event-id": last.id})
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("bad", ["x", "1-", "-1", "1-2-3", "9" * 25])
async def test_an_id_that_is_none_is_refused_by_name(gateway: Any, bad: str) -> None:
    url = await create(gateway, class_label="cat")
    for path, headers, field in [
        (url, {"last-event-id": bad}, "last-event-id"),
        (f"{url}?after={bad}", {}, "after"),
    ]:
        answer = await gateway.client.get(path, headers=headers)
        assert (answer.status_code, answer.json()["field"]) == (400, field)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_job_that_has_expired_is_not_found(open_gateway: Any) -> None:
    now = 0.0
    queue = MemoryQueue(QueueLimits(retention_seconds=5), clock=lambda: now)
    job = await queue.submit(request_of())
    await queue.cancel(job.id)
    client = open_gateway(queue).client
    assert (await client.get(f"/v1/jobs/{job.id}/events")).status_code == 200
    now = 6.0
    answer = await client.get(f"/v1/jobs/{job.id}/events", headers={"last-event-id": "1-0"})
    assert (answer.status_code, answer.json()["field"]) == (404, "job_id")


async def test_a_failure_is_the_terminal_event(gateway: Any) -> None:
    failure = JobFailed(code="engine_unavailable", message="Triton is gone")
    gateway.queue.fail_after_band = (1, failure)
    events = await watch(gateway, await create(gateway, class_label="cat"))
    assert events[-1].name == "job.failed"
    assert events[-1].data["code"] == "engine_unavailable"


async def test_a_queue_that_goes_away_is_an_error_that_does_not_move_the_watcher(
    gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await create(gateway, class_label="cat")

    history = await gateway.queue.history("job-0")

    async def events(job_id: str, *, after: str) -> Any:
        yield history[0]
        raise QueueUnavailable("gone")

    async def history_until_now(job_id: str) -> Any:
        return history[:1]

    monkeypatch.setattr(gateway.queue, "events", events)
    monkeypatch.setattr(gateway.queue, "history", history_until_now)
    answer = await gateway.client.get(url)
    first, last = parse(answer.text)
    assert (first.name, first.id) == ("job.queued", history[0].id)
    assert (last.name, last.id, last.data["code"]) == ("error", None, "queue_unavailable")


async def test_a_silent_job_is_kept_alive_by_comments(open_gateway: Any) -> None:
    gateway = open_gateway(keepalive_seconds=0.02)
    gateway.queue.band_gap_seconds = 0.1
    answer = await gateway.client.get(await create(gateway, class_label="cat"))
    assert answer.text.count(": ping\n\n") >= 5


async def test_a_stream_that_is_not_silent_has_no_comments(open_gateway: Any) -> None:
    gateway = open_gateway(keepalive_seconds=0.3)
    gateway.queue.band_gap_seconds = 0.1
    answer = await gateway.client.get(await create(gateway, class_label="cat"))
    assert len(parse(answer.text)) > 5
    assert ": ping" not in answer.text


async def test_what_is_no_stream_cannot_be_had(gateway: Any) -> None:
    url = await create(gateway, class_label="cat")
    answer = await gateway.client.get(url, headers={"accept": "application/json"})
    assert (answer.status_code, answer.json()["field"]) == (406, "accept")


async def test_watchers_come_and_go_and_the_job_goes_on(
    listen: Any, queue: MemoryQueue, engine: FakeEngine
) -> None:
    engine.band_seconds = 0.05
    url = await listen(queue, queue_timeout_seconds=5)
    async with asyncio.timeout(20), httpx.AsyncClient(base_url=url) as client:
        job = (await client.post("/v1/jobs", json=BODY)).json()
        for _ in range(3):
            async with client.stream("GET", job["urls"]["events"]) as answer:
                await anext(answer.aiter_text())
        seen = parse((await client.get(job["urls"]["events"])).text)
    assert seen[-1].name == "job.completed"


async def test_events_leave_as_they_happen(listen: Any) -> None:
    queue = MemoryQueue()
    job = await queue.submit(request_of())
    url = await listen(queue)
    async with (
        asyncio.timeout(5),
        httpx.AsyncClient(base_url=url) as client,
        client.stream("GET", f"/v1/jobs/{job.id}/events") as answer,
    ):
        texts = answer.aiter_text()
        assert parse(await anext(texts))[-1].name == "job.queued"
        await lease_one(queue)
        assert parse(await anext(texts))[-1].name == "job.started"
        metrics = (await client.get("/metrics")).text
        assert "nfig_stream_clients 1.0" in metrics
