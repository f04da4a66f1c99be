"""Laws of shedding bands as callers see it: consent, marks, and what is let in for its sake."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import openai
import pytest

from service.engine.fake_engine import FAKE_CARD
from service.jobs.memory_queue import MemoryQueue
from service.jobs.pace import Pace, StepTime
from service.jobs.queue import Backlog, QueueLimits, Shedding, WorkerStatus

STEP = StepTime(median=1.0, p90=1.0)
PACE = Pace(bands=(STEP,) * 5, picture=STEP, job=StepTime(median=6.0, p90=8.0), jobs_at_once=2.0)
"""An image of all bands takes six seconds, one of two takes three."""
BUSY = Backlog(waiting=3, running=2)
"""A new job starts in 12 seconds, or in 6 where all have two bands."""
SHEDDING = Shedding(min_bands=2, target_seconds=1.0, fewest_now=5)


@pytest.fixture
def shedding_gateway(open_gateway: Any, browned_out: MemoryQueue) -> Any:
    return open_gateway(browned_out, queue_timeout_seconds=5)


async def generate(gateway: Any, accept: str = "application/json", **fields: object) -> Any:
    answer = await gateway.generate({"prompt": "red", "seed": 7, **fields}, accept=accept)
    assert answer.status_code == 200, answer.text
    return answer


async def test_an_image_that_was_cut_says_so_and_is_that_of_as_many_bands(
    shedding_gateway: Any,
) -> None:
    answer = await generate(shedding_gateway)
    (image,) = answer.json()["data"]
    assert (image["bands_completed"], image["shed"]) == (2, True)
    assert answer.headers["x-nfig-shed"] == "true"
    assert answer.json()["usage"]["output_tokens"] == 1 + 4
    asked = await generate(shedding_gateway, bands=2)
    (same,) = asked.json()["data"]
    assert (same["digest"], same["shed"]) == (image["digest"], False)
    assert "x-nfig-shed" not in asked.headers


async def test_who_says_never_gets_all_bands(shedding_gateway: Any) -> None:
    answer = await generate(shedding_gateway, brownout="never")
    (image,) = answer.json()["data"]
    assert (image["bands_completed"], image["shed"]) == (5, False)
    assert "x-nfig-shed" not in answer.headers


@pytest.mark.parametrize(("fields", "bands"), [({}, "2"), ({"brownout": "never"}, "5")])
async def test_the_picture_itself_says_it_in_headers(
    shedding_gateway: Any, fields: dict[str, str], bands: str
) -> None:
    answer = await generate(shedding_gateway, accept="image/png", **fields)
    assert answer.headers["x-nfig-bands-completed"] == bands
    assert answer.headers.get("x-nfig-shed") == ("true" if bands == "2" else None)


async def test_a_stream_says_it_with_the_image(shedding_gateway: Any) -> None:
    answer = await generate(shedding_gateway, stream=True, partial_images=4)
    *previews, last = [line for line in answer.text.split("\n") if line.startswith("data: ")]
    assert '"shed":true' in last
    assert '"bands_completed":2' in last
    assert len(previews) == 1


async def test_a_job_and_its_log_say_it(shedding_gateway: Any) -> None:
    client: httpx.AsyncClient = shedding_gateway.client
    answer = await client.post(
        "/v1/jobs", json={"class_label": "red"}, headers={"prefer": "wait=10"}
    )
    job = answer.json()
    assert (job["state"], job["brownout"], job["bands"]) == ("completed", "allow", 5)
    assert (job["images"][0]["bands_completed"], job["images"][0]["shed"]) == (2, True)
    log = (await client.get(f"/v1/jobs/{job['id']}/events")).text
    assert '"bands_completed":2,"shed":true' in log


async def test_the_openai_client_says_it_in_its_extra_body(
    listen: Any, browned_out: MemoryQueue
) -> None:
    url = await listen(browned_out, queue_timeout_seconds=5)
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        told = []
        for brownout in ("allow", "never"):
            extra = {"brownout": brownout}
            answer = await client.images.generate(prompt="red", extra_body=extra)
            assert answer.data is not None
            assert answer.data[0].model_extra is not None
            told.append(answer.data[0].model_extra["shed"])
        with pytest.raises(openai.BadRequestError, match="brownout"):
            await client.images.generate(prompt="red", extra_body={"brownout": "maybe"})
    assert told == [True, False]


async def create(gateway: Any, **fields: object) -> httpx.Response:
    answer: httpx.Response = await gateway.client.post(
        "/v1/jobs", json={"class_label": "cat", **fields}
    )
    return answer


def workers(gateway: Any, *ways: Shedding | None) -> None:
    """One ready worker per way of shedding."""
    (known,) = gateway.queue.statuses[:1]
    gateway.queue.statuses = [
        replace(known, worker_id=str(number), pace=PACE, shedding=way)
        for number, way in enumerate(ways)
    ]


@pytest.mark.parametrize("limit", [{"deadline_ms": 9_000}, {"start_within_ms": 7_000}], ids=str)
async def test_who_accepts_fewer_bands_is_let_in_where_those_ahead_can_be_cut(
    gateway: Any, limit: dict[str, int]
) -> None:
    gateway.queue.has_backlog = BUSY
    workers(gateway, SHEDDING)
    assert (await create(gateway, **limit)).is_success
    refused = await create(gateway, **limit, brownout="never")
    assert (refused.status_code, refused.json()["code"]) == (503, "deadline_unattainable")
    workers(gateway, None)
    assert (await create(gateway, **limit)).status_code == 503


async def test_what_even_the_fewest_bands_do_not_help_is_refused(gateway: Any) -> None:
    gateway.queue.has_backlog = BUSY
    workers(gateway, SHEDDING)
    answer = await create(gateway, start_within_ms=5_000)
    assert answer.json()["code"] == "deadline_unattainable"
    assert answer.headers["retry-after"] == "1"


async def test_bands_that_are_already_left_out_are_not_counted_twice(gateway: Any) -> None:
    gateway.queue.has_backlog = BUSY
    workers(gateway, replace(SHEDDING, fewest_now=2))
    assert (await create(gateway, start_within_ms=7_000)).status_code == 503


async def test_who_cannot_wait_until_the_workers_begin_to_shed_is_refused(gateway: Any) -> None:
    gateway.queue.has_backlog = BUSY
    workers(gateway, replace(SHEDDING, target_seconds=8.0))
    assert (await create(gateway, start_within_ms=7_000)).status_code == 503


async def test_one_worker_that_does_not_shed_is_enough_to_be_careful(gateway: Any) -> None:
    gateway.queue.has_backlog = Backlog(waiting=5, running=4)
    workers(gateway, SHEDDING, SHEDDING)
    assert (await create(gateway, start_within_ms=7_000)).is_success
    workers(gateway, SHEDDING, None)
    assert (await create(gateway, start_within_ms=7_000)).status_code == 503


async def test_a_full_queue_lets_in_who_accepts_fewer_bands(open_gateway: Any) -> None:
    class Ready(MemoryQueue):
        async def workers(self) -> Any:
            ready = {"model": "fake", "engine": "fake", "engine_ready": True}
            return [WorkerStatus(worker_id="w", **ready)]

        async def models(self) -> Any:
            return [FAKE_CARD]

    gateway = open_gateway(Ready(QueueLimits(max_depth=1, extra_depth=1)))
    body = {"class_label": "red", "brownout": "never"}
    first = await gateway.client.post("/v1/jobs", json=body)
    assert first.status_code == 202
    assert (await gateway.client.post("/v1/jobs", json=body)).json()["code"] == "queue_full"
    assert (await gateway.client.post("/v1/jobs", json={"class_label": "red"})).status_code == 202


@pytest.mark.parametrize("value", ["maybe", True, 3])
async def test_another_word_is_refused_by_name(gateway: Any, value: object) -> None:
    answer = await create(gateway, brownout=value)
    assert (answer.status_code, answer.json()["field"]) == (400, "brownout")
    answer = await gateway.generate({"prompt": "cat", "brownout": value})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "brownout")
