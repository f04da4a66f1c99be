"""Deadlines through the real stack: on any machine an image in time, or a clear no."""

from __future__ import annotations

import time
from typing import Any

import httpx
import openai
import pytest

BODY = {"prompt": "cat", "seed": 7}
BANDS = 6
NOES = {(422, "deadline_too_short"), (503, "deadline_unattainable"), (504, "deadline_exceeded")}


def draw(url: str, **fields: object) -> httpx.Response:
    target = f"{url}/v1/images/generations"
    return httpx.post(target, json={**BODY, **fields}, timeout=60)


def first_image(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    image: dict[str, Any] = answer.json()["data"][0]
    return image


@pytest.fixture(scope="module")
def whole(stack: Any) -> dict[int, str]:
    """The picture of every number of bands; on the way the workers learn how long it takes."""
    pictures = {
        bands: first_image(draw(stack.gateway_url, bands=bands))["b64_json"]
        for bands in range(1, BANDS + 1)
    }
    assert len(set(pictures.values())) == BANDS
    return pictures


def test_a_deadline_is_answered_by_as_many_bands_as_fit_or_by_a_clear_no(
    url: str, whole: dict[int, str]
) -> None:
    time.sleep(3)  # until a heartbeat has told what the worker learned
    for deadline_ms in (1, 5, 10, 20, 40, 80, 160, 320):
        answer = draw(url, deadline_ms=deadline_ms)
        if answer.status_code == 200:
            image = first_image(answer)
            assert 1 <= image["bands_completed"] <= BANDS
            assert image["b64_json"] == whole[image["bands_completed"]]
        else:
            assert (answer.status_code, answer.json()["error"]["code"]) in NOES


def test_who_leaves_time_enough_gets_every_band(url: str, whole: dict[int, str]) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:
        limits = {"seed": 7, "deadline_ms": 50_000, "start_within_ms": 40_000}
        answer = client.images.generate(prompt="cat", extra_body=limits)
    assert answer.data is not None
    assert answer.data[0].b64_json == whole[BANDS]


def test_a_job_that_runs_or_waits_says_when_it_will_end(url: str, whole: dict[int, str]) -> None:
    end = time.monotonic() + 30
    job: dict[str, Any] = {"estimated_end_ms": None}
    while job["estimated_end_ms"] is None and time.monotonic() < end:
        body = {"class_label": "cat", "num_images": 4, "deadline_ms": 50_000}
        job = httpx.post(f"{url}/v1/jobs", json=body, timeout=60).json()
        if job["state"] == "completed":
            assert job["estimated_end_ms"] is None
    assert job["estimated_end_ms"] > 0
    assert job["deadline_ms"] == 50_000
