"""Laws of `Idempotency-Key` on `POST /v1/jobs`."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from service.jobs.memory_queue import MemoryQueue


async def create(gateway: Any, body: object, key: str | bytes, **headers: str) -> httpx.Response:
    named = {"idempotency-key": key, **headers}
    answer: httpx.Response = await gateway.client.post("/v1/jobs", json=body, headers=named)
    return answer


@pytest.mark.parametrize("seed", [{"seed": 7}, {}])
async def test_a_repetition_is_the_same_job_whoever_drew_the_seed(
    whole_gateway: Any, seed: dict[str, int]
) -> None:
    body = {"class_label": "red", **seed}
    first = await create(whole_gateway, body, "k")
    assert "idempotency-replayed" not in first.headers
    again = await create(whole_gateway, body, "k", prefer="wait=5")
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert (again.status_code, again.json()["seed"]) == (200, first.json()["seed"])
    late = await create(whole_gateway, body, "k")
    assert (late.status_code, late.json()) == (200, again.json())


async def test_racing_repetitions_are_one_job(whole_gateway: Any, queue: MemoryQueue) -> None:
    calls = [create(whole_gateway, {"class_label": "red"}, "k") for _ in range(10)]
    answers = await asyncio.gather(*calls)
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert ["idempotency-replayed" in answer.headers for answer in answers].count(False) == 1
    assert len(queue._records) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"class_label": "red", "seed": 8},
        {"class_label": "red"},
        {"class_label": "blue", "seed": 7},
        {"class_label": "red", "seed": 7, "previews": 1},
    ],
)
async def test_another_body_under_the_same_key_is_refused(
    whole_gateway: Any, other: dict[str, Any]
) -> None:
    await create(whole_gateway, {"class_label": "red", "seed": 7}, "k")
    answer = await create(whole_gateway, other, "k")
    assert answer.status_code == 422
    assert (answer.json()["code"], answer.json()["field"]) == (
        "idempotency_conflict",
        "idempotency-key",
    )
    assert answer.headers["x-should-retry"] == "false"
    assert (await create(whole_gateway, other, "another")).status_code == 202


async def test_how_a_body_is_written_does_not_matter(whole_gateway: Any) -> None:
    written = [
        {"class_label": "red", "guidance_scale": 2, "bands": None},
        {"guidance_scale": 2.0, "class_label": "red"},
    ]
    first, again = [await create(whole_gateway, body, "k") for body in written]
    assert again.json()["id"] == first.json()["id"]


async def test_a_request_that_was_refused_leaves_its_key_free(whole_gateway: Any) -> None:
    assert (await create(whole_gateway, {"class_label": "nobody"}, "k")).status_code == 400
    answer = await create(whole_gateway, {"class_label": "red"}, "k")
    assert (answer.status_code, answer.headers.get("idempotency-replayed")) == (202, None)


@pytest.mark.parametrize("key", ["", "a b", "k" * 256, "\t", b"\xfc", "a\x7f"])
async def test_a_key_that_is_none_is_refused_by_name(gateway: Any, key: str | bytes) -> None:
    answer = await create(gateway, {"class_label": "cat"}, key)
    assert (answer.status_code, answer.json()["field"]) == (400, "idempotency-key")
    assert not gateway.queue.jobs


async def test_two_keys_are_none(gateway: Any) -> None:
    headers = [("idempotency-key", "a"), ("idempotency-key", "b")]
    answer = await gateway.client.post("/v1/jobs", json={"class_label": "cat"}, headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (400, "idempotency-key")


@pytest.mark.parametrize("key", ["k" * 255, "!~", '"quoted"'])
async def test_any_visible_ascii_is_a_key(gateway: Any, key: str) -> None:
    assert (await create(gateway, {"class_label": "cat"}, key)).status_code == 200
