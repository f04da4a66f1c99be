"""Laws of native jobs: created, waited for, looked at, cancelled."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from service.domain import JobCancelled, JobFailed, JobState
from service.engine.fake_engine import FAKE_CARD, FakeEngine
from service.jobs.memory_queue import MemoryQueue
from service.jobs.queue import WorkerStatus

BODY = {"class_label": "red", "seed": 7}


async def create(gateway: Any, body: dict[str, Any] | None = None, **headers: str) -> Any:
    return await gateway.client.post("/v1/jobs", json=body or BODY, headers=headers)


async def until_running(gateway: Any, url: str) -> None:
    async with asyncio.timeout(5):
        while (await gateway.client.get(url)).json()["state"] != "running":
            await asyncio.sleep(0.01)


async def test_a_job_is_accepted_at_once_and_tells_every_address(whole_gateway: Any) -> None:
    answer = await create(whole_gateway, {**BODY, "num_images": 2})
    assert answer.status_code == 202
    job = answer.json()
    assert (job["seed"], job["num_images"], job["class_label"]) == (7, 2, 0)
    assert answer.headers["location"] == job["urls"]["self"]
    assert "preference-applied" not in answer.headers
    assert job["urls"]["self"] == f"http://gateway/v1/jobs/{job['id']}"
    assert job["urls"]["events"] == f"{job['urls']['self']}/events"
    assert job["urls"]["cancel"] == f"{job['urls']['self']}/cancel"
    assert job["urls"]["images"] == [f"{job['urls']['self']}/images/{i}" for i in range(2)]


async def test_a_drawn_seed_is_told_and_draws_the_same_again(whole_gateway: Any) -> None:
    first = (await create(whole_gateway, {"class_label": "red"}, prefer="wait=5")).json()
    body = {"class_label": "red", "seed": first["seed"]}
    second = (await create(whole_gateway, body, prefer="wait=5")).json()
    assert second["images"][0]["digest"] == first["images"][0]["digest"]


async def test_who_waits_long_enough_gets_the_finished_job(whole_gateway: Any) -> None:
    answer = await create(whole_gateway, {**BODY, "num_images": 2}, prefer="wait=5")
    assert (answer.status_code, answer.headers["preference-applied"]) == (200, "wait=5")
    job = answer.json()
    assert (job["state"], job["position"], job["error"]) == ("completed", None, None)
    assert [image["bands_completed"] for image in job["images"]] == [job["bands"]] * 2
    for image, url in zip(job["images"], job["urls"]["images"], strict=True):
        assert image["url"] == url
        picture = await whole_gateway.client.get(url)
        assert picture.headers["etag"] == f'"{image["digest"]}"'
        assert len(picture.content) == image["num_bytes"]


async def test_who_does_not_wait_long_enough_is_told_where_to_look(
    whole_gateway: Any, engine: FakeEngine
) -> None:
    engine.band_seconds = 0.4
    answer = await create(whole_gateway, prefer="respond-async, wait=1")
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async, wait=1"
    assert answer.json()["state"] == "running"
    (image,) = answer.json()["images"]
    assert 1 <= image["bands_completed"] <= 3
    assert (image["digest"], image["url"]) == (None, None)


async def test_the_wait_is_bounded_by_the_settings(open_gateway: Any) -> None:
    gateway = open_gateway(request_timeout_seconds=1)
    gateway.queue.hang_after_band = 0
    answer = await create(gateway, {"class_label": "cat"}, prefer="wait=1000")
    assert answer.headers["preference-applied"] == "wait=1"


async def test_a_caller_who_leaves_while_waiting_leaves_the_job(
    listen: Any, queue: MemoryQueue, engine: FakeEngine
) -> None:
    engine.band_seconds = 0.2
    url = await listen(queue, queue_timeout_seconds=5)
    async with httpx.AsyncClient(base_url=url, timeout=0.1) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/v1/jobs", json=BODY, headers={"prefer": "wait=10"})
    assert await queue.depth() == 1
    (job_id,) = queue._records
    async with asyncio.timeout(5):
        while await queue.depth():
            await asyncio.sleep(0.01)
    assert (await queue.job(job_id)).state is JobState.COMPLETED


async def test_a_waiting_job_tells_its_place(whole_gateway: Any, engine: FakeEngine) -> None:
    engine.band_seconds = 0.2
    body = {**BODY, "num_images": 8}
    urls = [(await create(whole_gateway, body)).json()["urls"]["self"] for _ in range(3)]
    await until_running(whole_gateway, urls[0])
    jobs = [(await whole_gateway.client.get(url)).json() for url in urls]
    assert [job["position"] for job in jobs] == [None, 0, 1]
    assert [job["state"] for job in jobs] == ["running", "queued", "queued"]


async def test_a_new_job_costs_one_question_to_the_queue(
    open_gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = MemoryQueue()
    await queue.register_model(FAKE_CARD)
    status = WorkerStatus(worker_id="w", model="fake", engine="fake", engine_ready=True)
    await queue.heartbeat(status, ttl_seconds=60)
    client = open_gateway(queue, models_ttl_seconds=60).client
    bodies = [(await client.post("/v1/jobs", json=BODY)).json()]
    asked: list[str] = []
    for verb in (
        "submit",
        "submit_once",
        "job",
        "position",
        "backlog",
        "history",
        "models",
        "workers",
    ):
        monkeypatch.setattr(queue, verb, noting(asked, verb, getattr(queue, verb)))
    bodies.append((await client.post("/v1/jobs", json=BODY)).json())
    assert asked == ["submit_once"]
    assert [(body["state"], body["position"]) for body in bodies] == [("queued", 0), ("queued", 1)]
    assert (await client.get(bodies[1]["urls"]["self"])).json() == bodies[1]


def noting(asked: list[str], verb: str, ask: Any) -> Any:
    async def noted(*arguments: Any, **options: Any) -> Any:
        asked.append(verb)
        return await ask(*arguments, **options)

    return noted


async def test_a_waiting_job_is_cancelled_at_once_and_again_in_vain(
    whole_gateway: Any, engine: FakeEngine
) -> None:
    engine.band_seconds = 0.2
    ahead = (await create(whole_gateway, {**BODY, "num_images": 8})).json()
    await until_running(whole_gateway, ahead["urls"]["self"])
    urls = (await create(whole_gateway, BODY)).json()["urls"]
    for _ in range(2):
        answer = await whole_gateway.client.post(urls["cancel"])
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert (await whole_gateway.client.get(urls["self"])).json()["state"] == "cancelled"


async def test_a_running_job_is_cancelled_at_its_next_band(
    whole_gateway: Any, engine: FakeEngine
) -> None:
    engine.band_seconds = 0.1
    urls = (await create(whole_gateway)).json()["urls"]
    await until_running(whole_gateway, urls["self"])
    assert (await whole_gateway.client.post(urls["cancel"])).status_code == 202
    async with asyncio.timeout(5):
        while (job := (await whole_gateway.client.get(urls["self"])).json())["state"] == "running":
            await asyncio.sleep(0.01)
    assert (job["state"], job["error"]) == ("cancelled", None)
    assert job["images"][0]["bands_completed"] < job["bands"]


async def test_an_ended_job_stays_as_it_is(whole_gateway: Any) -> None:
    job = (await create(whole_gateway, prefer="wait=5")).json()
    answer = await whole_gateway.client.post(job["urls"]["cancel"])
    assert (answer.status_code, answer.json()) == (200, job)


async def test_a_failed_job_tells_the_catalogued_error(gateway: Any) -> None:
    failure = JobFailed(code="engine_unavailable", message="Triton is gone")
    gateway.queue.fail_after_band = (1, failure)
    answer = await create(gateway, {"class_label": "cat", "seed": 1}, prefer="wait=5")
    assert answer.status_code == 200
    job = answer.json()
    assert job["state"] == "failed"
    assert job["images"][0]["bands_completed"] == 2
    assert job["error"] == {
        "type": "urn:nfig:error:engine_unavailable",
        "title": "No engine can draw now",
        "status": 503,
        "detail": "Triton is gone",
        "code": "engine_unavailable",
        "retryable": True,
    }
    gateway.queue.fail_after_band = (1, JobCancelled())
    job = (await gateway.client.get(job["urls"]["self"])).json()
    assert (job["state"], job["error"]) == ("cancelled", None)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"prompt": "cat"}, "prompt"),
        ({"class_label": "nobody"}, "class_label"),
        ({"class_label": None}, "class_label"),
        ({"previews": 5}, "previews"),
        ({"num_images": 11}, "num_images"),
        ({"picture_quality": 5}, "picture_quality"),
        ({"seed": "7"}, "seed"),
        ({"bands": 6}, "bands"),
    ],
)
async def test_what_is_refused_is_refused_by_name(
    gateway: Any, change: dict[str, Any], field: str
) -> None:
    answer = await create(gateway, {"class_label": "cat", **change})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["field"] == field
    assert not gateway.queue.jobs


async def test_the_class_must_be_said(gateway: Any) -> None:
    answer = await create(gateway, {"seed": 3})
    assert (answer.status_code, answer.json()["field"]) == (400, "class_label")


async def test_what_cannot_be_drawn_now_is_refused_and_counted(gateway: Any) -> None:
    gateway.queue.statuses = []
    answer = await create(gateway, {"class_label": "cat"})
    assert (answer.status_code, answer.json()["code"]) == (503, "engine_unavailable")
    text = (await gateway.client.get("/metrics")).text
    assert 'nfig_jobs_refused_total{reason="engine_unavailable"} 1.0' in text


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "/cancel")])
async def test_a_job_that_is_not_there_is_not_found(gateway: Any, method: str, path: str) -> None:
    answer = await gateway.client.request(method, f"/v1/jobs/none{path}")
    assert (answer.status_code, answer.json()["field"]) == (404, "job_id")


async def test_an_accepted_job_is_accepted_even_if_the_queue_goes_away(
    gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = gateway.queue.submit

    async def submit_and_go(request: Any, **owner: Any) -> Any:
        job = await submit(request, **owner)
        gateway.queue.down = True
        return job

    monkeypatch.setattr(gateway.queue, "submit", submit_and_go)
    answer = await create(gateway, {"class_label": "cat"}, prefer="wait=1")
    assert (answer.json()["id"], answer.headers["location"][-5:]) == ("job-0", "job-0")
