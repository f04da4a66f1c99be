"""Laws of `POST /v1/images/generations` answered in one piece."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import httpx
import pytest

from service.domain import JobCancelled, JobFailed
from service.errors import QueueFull


async def test_a_class_becomes_an_image(gateway: Any) -> None:
    answer = await gateway.generate({"prompt": "cat", "seed": 5})
    assert answer.status_code == 200
    body = answer.json()
    assert body["size"] == "64x64"
    assert body["output_format"] == "png"
    assert (body["model"], body["seed"], body["bands"]) == ("tiny", 5, 5)
    (image,) = body["data"]
    assert base64.b64decode(image["b64_json"]) in gateway.queue.pictures.values()
    assert image["band_latencies_ms"] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert body["usage"]["output_tokens"] == 1 + 4 + 9 + 16 + 64


async def test_images_come_in_order_with_seed_and_index(gateway: Any) -> None:
    body = (await gateway.generate({"class_label": 1, "n": 3, "seed": 9})).json()
    assert [image["image_index"] for image in body["data"]] == [0, 1, 2]
    assert {image["seed"] for image in body["data"]} == {9}
    assert len({image["b64_json"] for image in body["data"]}) == 3


async def test_every_field_reaches_the_engine(gateway: Any) -> None:
    await gateway.generate(
        {
            "prompt": "dog",
            "model": "tiny",
            "n": 2,
            "size": "64x64",
            "response_format": "b64_json",
            "output_format": "webp",
            "output_compression": 40,
            "user": "u-1",
            "seed": 2**63 - 1,
            "guidance_scale": 0,
            "top_k": 7,
            "top_p": 0.5,
            "temperature": 2,
            "bands": 3,
        }
    )
    (request,) = gateway.queue.requests
    sampling = request.sampling
    assert (request.class_label, request.num_images, request.bands) == (1, 2, 3)
    assert (request.picture_format, request.picture_quality) == ("webp", 40)
    assert request.seed == 2**63 - 1
    assert (sampling.guidance_scale, sampling.top_k) == (0, 7)
    assert (sampling.top_p, sampling.temperature) == (0.5, 2)


async def test_null_means_not_said(gateway: Any) -> None:
    answer = await gateway.generate({"prompt": "cat", "n": None, "size": None, "seed": None})
    assert answer.status_code == 200


async def test_the_same_seed_gives_the_same_bytes(gateway: Any) -> None:
    first, second = [
        (await gateway.generate({"prompt": "cat", "seed": 1, "n": 2})).json() for _ in range(2)
    ]
    assert first["data"] == second["data"]


async def test_a_drawn_seed_is_told_and_repeats_the_image(gateway: Any) -> None:
    first = (await gateway.generate({"prompt": "cat"})).json()
    again = (await gateway.generate({"prompt": "cat", "seed": first["seed"]})).json()
    assert first["data"] == again["data"]


@pytest.mark.parametrize("media", ["image/png", "image/jpeg", "image/webp"])
async def test_accept_gets_the_picture_itself(gateway: Any, media: str) -> None:
    answer = await gateway.generate({"prompt": "cat", "seed": 3}, accept=media)
    assert answer.headers["content-type"] == media
    assert answer.content in gateway.queue.pictures.values()
    assert answer.headers["x-nfig-seed"] == "3"


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"n": 2}, 400, "n"),
        ({"response_format": "url"}, 400, "response_format"),
        ({"output_format": "jpeg"}, 406, "output_format"),
        ({"stream": True}, 406, "accept"),
    ],
)
async def test_a_picture_answer_refuses_what_it_cannot_carry(
    gateway: Any, body: dict[str, object], status: int, param: str
) -> None:
    answer = await gateway.generate({"prompt": "cat", **body}, accept="image/png")
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


async def test_a_url_leads_to_the_same_bytes_and_never_changes(gateway: Any) -> None:
    asked = {"prompt": "cat", "seed": 3, "output_format": "jpeg"}
    inline = (await gateway.generate(asked)).json()["data"][0]
    linked = (await gateway.generate({**asked, "response_format": "url"})).json()["data"][0]
    assert "b64_json" not in linked
    picture = await gateway.client.get(linked["url"])
    assert picture.headers["content-type"] == "image/jpeg"
    assert picture.content == base64.b64decode(inline["b64_json"])
    assert picture.headers["etag"] == f'"{linked["digest"]}"'
    assert "immutable" in picture.headers["cache-control"]
    again = await gateway.client.get(
        linked["url"], headers={"if-none-match": picture.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "prompt"),
        ({"prompt": "cat", "class_label": 0}, "class_label"),
        ({"prompt": "horse"}, "prompt"),
        ({"class_label": 99}, "class_label"),
        ({"prompt": 3}, "prompt"),
        ({"class_label": True}, "class_label"),
        ({"prompt": "cat", "n": "3"}, "n"),
        ({"prompt": "cat", "n": 1.5}, "n"),
        ({"prompt": "cat", "n": 0}, "n"),
        ({"prompt": "cat", "n": 11}, "n"),
        ({"prompt": "cat", "size": "1024x1024"}, "size"),
        ({"prompt": "cat", "size": "64x32"}, "size"),
        ({"prompt": "cat", "size": "large"}, "size"),
        ({"prompt": "cat", "response_format": "gif"}, "response_format"),
        ({"prompt": "cat", "output_format": "gif"}, "output_format"),
        ({"prompt": "cat", "output_compression": 50}, "output_compression"),
        (
            {"prompt": "cat", "output_format": "jpeg", "output_compression": 101},
            "output_compression",
        ),
        ({"prompt": "cat", "partial_images": 2}, "partial_images"),
        ({"prompt": "cat", "stream": True, "partial_images": 5}, "partial_images"),
        ({"prompt": "cat", "stream": True, "response_format": "url"}, "response_format"),
        ({"prompt": "cat", "stream": "yes"}, "stream"),
        ({"prompt": "cat", "seed": -1}, "seed"),
        ({"prompt": "cat", "bands": 6}, "bands"),
        ({"prompt": "cat", "deadline_ms": 0}, "deadline_ms"),
        ({"prompt": "cat", "deadline_ms": 86_400_001}, "deadline_ms"),
        ({"prompt": "cat", "deadline_ms": 500.0}, "deadline_ms"),
        ({"prompt": "cat", "start_within_ms": -1}, "start_within_ms"),
        ({"prompt": "cat", "quality": "hd"}, "quality"),
        ({"prompt": "cat", "x" * 500: 1}, "x" * 64),
    ],
)
async def test_bad_input_is_refused_by_name(
    gateway: Any, body: dict[str, object], param: str
) -> None:
    answer = await gateway.generate(body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param)
    assert error["type"] == "invalid_request_error"
    assert param in error["message"]
    assert not gateway.queue.requests


async def test_an_unknown_model_is_not_found(gateway: Any) -> None:
    answer = await gateway.generate({"prompt": "cat", "model": "dall-e-3"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (404, "unknown_model", "model")


@pytest.mark.parametrize(
    ("content", "headers", "status", "param"),
    [
        (b"{", {}, 400, "body"),
        (b"", {}, 400, "body"),
        (b"[]", {}, 400, "body"),
        (b"\xff\xfe", {}, 400, "body"),
        (b'{"prompt": "\\ud800"}', {}, 400, "body"),
        (b'{"prompt": "cat", "temperature": NaN}', {}, 400, "temperature"),
        (b'{"prompt": "cat", "top_p": 1e999}', {}, 400, "top_p"),
        (b"[" * 10_000, {}, 400, "body"),
        (b"{}", {"content-type": "text/plain"}, 415, "content-type"),
        (b"a=1", {"content-type": "application/x-www-form-urlencoded"}, 415, "content-type"),
        (b"{}", {"content-encoding": "gzip"}, 415, "content-encoding"),
        (b" " * 20_000, {}, 413, "body"),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(
    gateway: Any, content: bytes, headers: dict[str, str], status: int, param: str
) -> None:
    answer = await gateway.client.post(
        "/v1/images/generations",
        content=content,
        headers={"content-type": "application/json", **headers},
    )
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


async def test_a_body_that_does_not_announce_its_size_is_cut_off_too(gateway: Any) -> None:
    async def endless() -> Any:
        while True:
            yield b" " * 1000

    answer = await gateway.client.post(
        "/v1/images/generations", content=endless(), headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("trouble", ["down", "silent"])
async def test_without_redis_the_answer_is_503_within_a_second(gateway: Any, trouble: str) -> None:
    setattr(gateway.queue, trouble, True)
    async with asyncio.timeout(1):
        answer = await gateway.generate({"prompt": "cat"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "queue_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["x-should-retry"] == "true"


@pytest.mark.parametrize("state", ["no_card", "no_worker", "engine_not_ready", "queue_full"])
async def test_what_cannot_be_drawn_now_is_refused_at_once(gateway: Any, state: str) -> None:
    queue = gateway.queue
    if state == "no_card":
        queue.cards = []
    elif state == "no_worker":
        queue.statuses = []
    elif state == "queue_full":
        queue.refuse_submit = QueueFull("the queue holds 1000 jobs", retry_after_s=7.2)
    else:
        (status,) = queue.statuses
        queue.statuses = [type(status)(**{**vars(status), "engine_ready": False})]
    answer = await gateway.generate({"prompt": "cat"})
    code = "queue_full" if state == "queue_full" else "engine_unavailable"
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, code)
    assert answer.headers["retry-after"] == ("8" if state == "queue_full" else "5")
    refused = gateway.metrics.jobs_refused.labels(reason=code)
    assert refused._value.get() == 1


async def test_the_first_model_that_can_draw_is_the_default(gateway: Any) -> None:
    (card,) = gateway.queue.cards
    other = type(card)(**{**vars(card), "id": "a-model-without-workers"})
    gateway.queue.cards = [other, card]
    assert (await gateway.generate({"prompt": "cat"})).json()["model"] == "tiny"


@pytest.mark.parametrize(
    ("ending", "status", "code"),
    [
        (JobFailed(code="engine_unavailable", message="Triton is gone"), 503, "engine_unavailable"),
        (JobFailed(code="internal", message="broken"), 500, "internal"),
        (JobFailed(code="never heard of", message="odd"), 500, "internal"),
        (JobCancelled(), 409, "job_cancelled"),
    ],
)
async def test_a_failed_job_answers_with_its_error(
    gateway: Any, ending: JobFailed | JobCancelled, status: int, code: str
) -> None:
    gateway.queue.fail_after_band = (2, ending)
    answer = await gateway.generate({"prompt": "cat"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.headers["x-should-retry"] == ("true" if status == 503 else "false")
    assert "Traceback" not in answer.text
    assert gateway.queue.cancelled == []


async def test_a_picture_that_is_lost_is_our_fault_not_a_404(gateway: Any) -> None:
    gateway.queue.forget_pictures = True
    answer = await gateway.generate({"prompt": "cat"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")


async def test_waiting_ends_in_504_and_cancels_the_job(open_gateway: Any) -> None:
    gateway = open_gateway(request_timeout_seconds=0.1)
    gateway.queue.hang_after_band = 1
    answer = await gateway.generate({"prompt": "cat"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
    await asyncio.sleep(0)
    assert gateway.queue.cancelled == ["job-0"]
    assert gateway.queue.reading == 0


async def test_a_caller_who_hangs_up_ends_the_job(listen: Any, scripted_queue: Any) -> None:
    queue = scripted_queue(hang_after_band=1)
    url = await listen(queue)
    async with httpx.AsyncClient(base_url=url) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/v1/images/generations", json={"prompt": "cat"}, timeout=0.2)
    async with asyncio.timeout(5):
        while not queue.cancelled or queue.reading:
            await asyncio.sleep(0.01)
    assert queue.cancelled == ["job-0"]


async def test_a_caller_who_hangs_up_while_sending_is_nobodys_error(
    gateway: Any, caplog: pytest.LogCaptureFixture
) -> None:
    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}])
    sent = []

    async def receive() -> dict[str, object]:
        return next(messages, {"type": "http.disconnect"})

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/images/generations",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    await gateway.app(scope, receive, send)
    assert sent[0]["status"] == 499
    assert not caplog.records


async def test_an_unexpected_error_is_logged_with_the_request_id_and_hidden(
    gateway: Any, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.queue.refuse_submit = RuntimeError("secret detail")
    answer = await gateway.generate({"prompt": "cat"}, **{"x-request-id": "mine-1"})
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert answer.json()["error"]["request_id"] == "mine-1"
    (record,) = [record for record in caplog.records if record.exc_info]
    assert "mine-1" in record.getMessage()
