"""A class label over HTTP becomes an image, band by band, through real Redis and a real engine."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import urllib.request
from typing import Any

import httpx
import openai
import pytest
from PIL import Image

from service.stack.running import RunningStack
from service.stack.stream import parse_events

BODY = {"prompt": "cat", "seed": 7}


def post(url: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    return httpx.post(f"{url}/v1/images/generations", json=body, headers=headers, timeout=60)


def picture(url: str, body: dict[str, Any]) -> bytes:
    answer = post(url, body)
    assert answer.status_code == 200, answer.text
    return base64.b64decode(answer.json()["data"][0]["b64_json"])


def streamed(url: str, body: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    target = f"{url}/v1/images/generations"
    with httpx.stream("POST", target, json={**body, "stream": True}, timeout=60) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        return list(parse_events(answer.iter_lines()))


def test_a_class_name_becomes_an_image_of_the_models_size(url: str) -> None:
    with Image.open(io.BytesIO(picture(url, BODY))) as image:
        assert (image.format, image.size, image.mode) == ("PNG", (32, 32), "RGB")


def test_the_same_seed_gives_the_same_bytes_through_every_door(url: str) -> None:
    first = picture(url, BODY)
    assert picture(url, BODY) == first
    assert picture(url, {"class_label": 2, "seed": 7}) == first
    assert post(url, BODY, accept="image/png").content == first
    name, data = streamed(url, {**BODY, "partial_images": 2})[-1]
    assert name == "image_generation.completed"
    assert base64.b64decode(data["b64_json"]) == first
    assert picture(url, {**BODY, "seed": 8}) != first


def test_a_stream_shows_bands_in_order_and_then_the_image(url: str) -> None:
    events = streamed(url, {**BODY, "partial_images": 5})
    assert [data["band"] for _, data in events] == [0, 1, 2, 3, 4, 5]
    assert [name for name, _ in events] == [
        *["image_generation.partial_image"] * 5,
        "image_generation.completed",
    ]
    assert {data["type"] == name for name, data in events} == {True}
    assert len({data["b64_json"] for _, data in events}) == 6
    elapsed = [data["elapsed_ms"] for _, data in events]
    assert elapsed == sorted(elapsed)
    assert len(events[-1][1]["band_latencies_ms"]) == 6


def test_the_official_client_draws(url: str) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:
        answer = client.images.generate(prompt="bee", n=2, extra_body={"seed": 1})
        assert answer.data is not None
        drawn = [base64.b64decode(image.b64_json or "") for image in answer.data]
        assert len(set(drawn)) == 2
        assert all(content.startswith(b"\x89PNG") for content in drawn)


def test_the_official_client_streams_three_previews(url: str) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:
        stream = client.images.generate(prompt="2", stream=True, partial_images=3)
        types = [event.type for event in stream]
    assert types == ["image_generation.partial_image"] * 3 + ["image_generation.completed"]


def test_the_official_client_raises_what_the_service_refuses(url: str) -> None:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
    with client, pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(prompt="unicorn")
    assert refused.value.param == "prompt"


@pytest.mark.parametrize(
    ("change", "field", "status"),
    [
        ({"prompt": "unicorn"}, "prompt", 400),
        ({"prompt": "5"}, "prompt", 400),
        ({"colour": "red"}, "colour", 400),
        ({"n": "two"}, "n", 400),
        ({"n": 0}, "n", 400),
        ({"n": 11}, "n", 400),
        ({"model": "dall-e-3"}, "model", 404),
        ({"prompt": "x" * 20_000}, "body", 413),
    ],
    ids=["class", "label", "unknown", "type", "none", "many", "model", "large"],
)
def test_bad_input_is_refused_by_name(
    url: str, change: dict[str, Any], field: str | None, status: int
) -> None:
    answer = post(url, {**BODY, **change})
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["param"] == field
    assert "Traceback" not in answer.text


def test_models_are_listed_with_their_classes_and_bands(url: str) -> None:
    (model,) = httpx.get(f"{url}/v1/models").json()["data"]
    assert model["id"] == "tiny"
    assert model["grid_sides"] == [1, 2, 3, 4, 6, 8]
    details = httpx.get(f"{url}/v1/models/tiny").json()
    assert details["class_names"] == ["ant", "bee", "cat", "dog", "eel"]


def test_metrics_show_what_was_drawn(stack: RunningStack) -> None:
    picture(stack.gateway_url, BODY)
    assert "nfig_queue_depth" in httpx.get(f"{stack.gateway_url}/metrics").text
    assert re.search(
        r'nfig_job_seconds_count\{.*outcome="completed"', httpx.get(stack.worker_metrics_url).text
    )


async def test_concurrent_requests_share_batches_in_triton(stack: RunningStack) -> None:
    if stack.triton is None:
        pytest.skip("the stack draws without Triton here")
    before = counters(stack.triton.metrics_url)
    alone = picture(stack.gateway_url, {**BODY, "seed": 0})
    target = f"{stack.gateway_url}/v1/images/generations"
    async with httpx.AsyncClient(timeout=60) as client:
        bodies = [{**BODY, "seed": seed} for seed in range(12)]
        answers = await asyncio.gather(*(client.post(target, json=body) for body in bodies))
    assert [answer.status_code for answer in answers] == [200] * 12
    assert base64.b64decode(answers[0].json()["data"][0]["b64_json"]) == alone
    after = counters(stack.triton.metrics_url)
    inferences = after["nv_inference_count"] - before["nv_inference_count"]
    executions = after["nv_inference_exec_count"] - before["nv_inference_exec_count"]
    assert inferences >= 13
    assert executions < inferences


def counters(metrics_url: str) -> dict[str, float]:
    """Triton's own counts for the transformer: rows drawn, batches executed."""
    with urllib.request.urlopen(metrics_url, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    pattern = re.compile(r'(nv_inference_\w+)\{model="nfig_transformer",.*\} (\S+)')
    return {match[1]: float(match[2]) for line in lines if (match := pattern.fullmatch(line))}


def test_a_client_that_hangs_up_leaves_the_service_whole(url: str) -> None:
    target = f"{url}/v1/images/generations"
    body = {**BODY, "n": 4, "stream": True, "partial_images": 5}
    with httpx.stream("POST", target, json=body, timeout=60) as answer:
        next(answer.iter_lines())
    assert picture(url, BODY)
    assert json.loads(httpx.get(f"{url}/health/ready").text)["status"] == "ready"
