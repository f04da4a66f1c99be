"""Whole requests in one process: gateway, queue in memory, worker, fake engine."""

from __future__ import annotations

import asyncio
import base64
import io
from typing import Any

import httpx
import pytest
from PIL import Image

from service.domain import JobState
from service.engine.fake_engine import FakeEngine
from service.jobs.memory_queue import MemoryQueue


@pytest.fixture
def gateway(whole_gateway: Any) -> Any:
    return whole_gateway


def picture(answer: httpx.Response, index: int = 0) -> bytes:
    assert answer.status_code == 200, answer.text
    return base64.b64decode(answer.json()["data"][index]["b64_json"])


@pytest.mark.parametrize("picture_format", ["png", "jpeg", "webp"])
async def test_a_class_name_becomes_a_picture(gateway: Any, picture_format: str) -> None:
    answer = await gateway.generate({"prompt": "cyan", "output_format": picture_format})
    image = Image.open(io.BytesIO(picture(answer)))
    assert (image.format, image.size) == (picture_format.upper(), (64, 64))


async def test_the_same_seed_gives_the_same_bytes_beside_any_neighbours(gateway: Any) -> None:
    body = {"prompt": "red", "seed": 11, "n": 2}
    alone = await gateway.generate(body)
    neighbours = [gateway.generate({"prompt": "blue", "seed": seed}) for seed in range(4)]
    crowded, *_ = await asyncio.gather(gateway.generate(body), *neighbours)
    for index in range(2):
        assert picture(alone, index) == picture(crowded, index)
    assert picture(alone, 0) != picture(alone, 1)


async def test_stream_and_answer_and_accept_and_url_give_the_same_bytes(gateway: Any) -> None:
    body = {"prompt": "red", "seed": 11}
    plain = picture(await gateway.generate(body))
    streamed = (await gateway.generate({**body, "stream": True, "partial_images": 4})).text
    assert base64.b64encode(plain).decode() in streamed
    assert (await gateway.generate(body, accept="image/png")).content == plain
    linked = (await gateway.generate({**body, "response_format": "url"})).json()
    assert (await gateway.client.get(linked["data"][0]["url"])).content == plain


async def test_stopping_early_shows_what_the_preview_of_that_band_shows(gateway: Any) -> None:
    early = (await gateway.generate({"prompt": "red", "seed": 1, "bands": 2})).json()
    assert early["data"][0]["bands_completed"] == 2
    assert len(early["data"][0]["band_latencies_ms"]) == 2


async def test_a_full_queue_refuses_and_every_request_is_answered(
    gateway: Any, engine: FakeEngine
) -> None:
    engine.band_seconds = 0.05
    bodies = [{"prompt": "red", "seed": seed} for seed in range(20)]
    answers = await asyncio.gather(*(gateway.generate(body) for body in bodies))
    codes = [answer.status_code for answer in answers]
    assert codes.count(200) + codes.count(503) == 20
    assert codes.count(200) >= 8
    for answer in answers:
        if answer.status_code == 503:
            assert answer.json()["error"]["code"] == "queue_full"
            assert int(answer.headers["retry-after"]) >= 1


async def test_a_caller_who_hangs_up_frees_the_engine_at_the_next_band(
    listen: Any, queue: MemoryQueue, engine: FakeEngine
) -> None:
    engine.band_seconds = 0.1
    url = await listen(queue, queue_timeout_seconds=5)
    body = {"prompt": "red", "stream": True, "partial_images": 4}
    async with (
        httpx.AsyncClient(base_url=url) as client,
        client.stream("POST", "/v1/images/generations", json=body) as answer,
    ):
        first = await anext(answer.aiter_text())
        job_id = first.partition('"job":"')[2].partition('"')[0]
    async with asyncio.timeout(5):
        while (await queue.job(job_id)).state is JobState.RUNNING:
            await asyncio.sleep(0.01)
    assert (await queue.job(job_id)).state is JobState.CANCELLED
    assert await queue.depth() == 0


async def test_an_engine_that_goes_down_is_an_error_event_in_the_stream(
    gateway: Any, engine: FakeEngine
) -> None:
    engine.band_seconds = 0.05
    asking = asyncio.create_task(gateway.generate({"prompt": "red", "stream": True}))
    await asyncio.sleep(0.1)
    await engine.close()
    text = (await asking).text
    assert "event: error" in text
    assert '"code":"engine_unavailable"' in text
