"""Laws of time limits at the door, and of what a job's caller is told to expect."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest

from service.domain import JobFailed
from service.engine.fake_engine import FAKE_CARD, FakeEngine
from service.gateway import patience
from service.jobs.memory_queue import MemoryQueue
from service.jobs.pace import Pace, StepTime
from service.jobs.queue import Backlog, WorkerStatus
from tests.queue_calls import band

STEP = StepTime(median=1.0, p90=1.0)
PACE = Pace(bands=(STEP,) * 5, picture=STEP, job=StepTime(median=6.0, p90=8.0), jobs_at_once=2.0)
"""An image of one band takes 2 seconds, and 20 ms are kept for the way; one of all five takes 6."""
BUSY = Backlog(waiting=3, running=2)
"""A new job starts in 12 seconds: four have to end, two of them in 6 seconds."""


class NoWorkers(MemoryQueue):
    """A queue that nobody works for although a worker is alive, with a known pace if it has one."""

    pace: Pace | None = None

    async def workers(self) -> Any:
        ready = {"model": "fake", "engine": "fake", "engine_ready": True}
        return [WorkerStatus(worker_id="w", pace=self.pace, **ready)]

    async def models(self) -> Any:
        return [FAKE_CARD]


@pytest.fixture
def paced(gateway: Any) -> Any:
    """A gateway that knows how long things take."""
    gateway.queue.statuses = [replace(gateway.queue.statuses[0], pace=PACE)]
    return gateway


async def create(gateway: Any, **fields: object) -> httpx.Response:
    answer: httpx.Response = await gateway.client.post(
        "/v1/jobs", json={"class_label": "cat", **fields}
    )
    return answer


@pytest.mark.parametrize(
    ("limits", "backlog"),
    [
        ({"deadline_ms": 2_050}, Backlog(waiting=0, running=1)),
        ({"deadline_ms": 14_050}, BUSY),
        ({"start_within_ms": 1}, Backlog(waiting=0, running=1)),
        ({"start_within_ms": 12_000}, BUSY),
        ({"start_within_ms": 12_000, "deadline_ms": 14_050}, BUSY),
        ({}, Backlog(waiting=1000, running=2)),
    ],
)
async def test_what_can_be_kept_is_accepted_and_passed_on(
    paced: Any, limits: dict[str, int], backlog: Backlog
) -> None:
    paced.queue.has_backlog = backlog
    answer = await create(paced, **limits)
    assert answer.is_success, answer.text
    (request,) = paced.queue.requests
    for name in ("deadline_ms", "start_within_ms"):
        assert getattr(request, name) == limits.get(name) == answer.json()[name]


@pytest.mark.parametrize("waiting", [0, 3])
async def test_a_deadline_before_any_first_band_is_refused_for_good(
    paced: Any, waiting: int
) -> None:
    paced.queue.has_backlog = Backlog(waiting=waiting, running=0)
    answer = await create(paced, deadline_ms=2_019)
    assert (answer.status_code, answer.json()["code"]) == (422, "deadline_too_short")
    assert answer.json()["field"] == "deadline_ms"
    assert "2020 ms" in answer.json()["detail"]
    assert answer.headers["x-should-retry"] == "false"
    assert not paced.queue.requests


@pytest.mark.parametrize(
    ("limits", "field", "retry_after"),
    [
        ({"deadline_ms": 13_500}, "deadline_ms", "1"),
        ({"deadline_ms": 4_500}, "deadline_ms", "10"),
        ({"start_within_ms": 7_000}, "start_within_ms", "5"),
        ({"start_within_ms": 7_000, "deadline_ms": 60_000}, "start_within_ms", "5"),
    ],
)
async def test_what_the_queue_is_too_long_for_is_refused_with_when_to_come_back(
    paced: Any, limits: dict[str, int], field: str, retry_after: str
) -> None:
    paced.queue.has_backlog = BUSY
    answer = await create(paced, **limits)
    assert (answer.status_code, answer.json()["code"]) == (503, "deadline_unattainable")
    assert (answer.json()["field"], answer.headers["retry-after"]) == (field, retry_after)
    assert not paced.queue.requests
    text = (await paced.client.get("/metrics")).text
    assert 'nfig_jobs_refused_total{reason="deadline_unattainable"} 1.0' in text


@pytest.mark.parametrize("limit", [{"deadline_ms": 1}, {"start_within_ms": 1}], ids=str)
async def test_where_nothing_was_measured_nobody_is_refused(
    gateway: Any, limit: dict[str, int]
) -> None:
    gateway.queue.has_backlog = Backlog(waiting=50, running=50)
    for pace in (None, replace(PACE, bands=(), picture=None, job=None)):
        gateway.queue.statuses = [replace(gateway.queue.statuses[0], pace=pace)]
        assert (await create(gateway, **limit)).is_success


async def test_more_workers_keep_what_one_cannot(paced: Any) -> None:
    paced.queue.has_backlog = BUSY
    assert (await create(paced, start_within_ms=5_000)).status_code == 503
    paced.queue.statuses *= 3
    assert (await create(paced, start_within_ms=5_000)).is_success
    paced.queue.statuses[1:] = [
        replace(status, engine_ready=False) for status in paced.queue.statuses[1:]
    ]
    assert (await create(paced, start_within_ms=5_000)).status_code == 503


async def test_openais_door_names_the_field_too(paced: Any) -> None:
    answer = await paced.generate({"prompt": "cat", "deadline_ms": 10})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "deadline_too_short")
    assert (error["param"], error["type"]) == ("deadline_ms", "invalid_request_error")


@pytest.mark.parametrize(
    "limits", [{"deadline_ms": 150}, {"deadline_ms": 150, "start_within_ms": 100}], ids=str
)
async def test_who_waits_is_told_when_the_deadline_has_passed(
    gateway: Any, limits: dict[str, int]
) -> None:
    gateway.queue.hang_after_band = 0
    answer = await gateway.generate({"prompt": "cat", **limits})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (504, "deadline_exceeded")
    assert error["param"] == "deadline_ms"
    assert gateway.queue.cancelled == ["job-0"]


async def test_who_waits_is_told_that_nobody_began(
    open_gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LATE_SECONDS", 0.05)
    gateway = open_gateway(NoWorkers())
    answer = await gateway.generate({"prompt": "red", "start_within_ms": 50})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (504, "deadline_exceeded")
    assert error["param"] == "start_within_ms"


async def test_a_failure_by_deadline_is_the_catalogued_one(gateway: Any) -> None:
    failure = JobFailed(code="deadline_too_short", message="not even the first band was ready")
    gateway.queue.fail_after_band = (0, failure)
    answer = await gateway.generate({"prompt": "cat", "deadline_ms": 60_000})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "deadline_too_short")


async def test_limits_are_part_of_what_an_idempotency_key_stands_for(whole_gateway: Any) -> None:
    async def send(**fields: int) -> int:
        body = {"class_label": "red", **fields}
        headers = {"idempotency-key": "k"}
        answer = await whole_gateway.client.post("/v1/jobs", json=body, headers=headers)
        return int(answer.status_code)

    assert await send(deadline_ms=60_000) in (200, 202)
    assert await send(deadline_ms=60_000) in (200, 202)
    assert await send(deadline_ms=60_001) == 422
    assert await send(deadline_ms=60_000, start_within_ms=60_000) == 422
    assert await send() == 422


async def test_a_deadline_gives_the_bytes_of_as_many_bands(
    whole_gateway: Any, engine: FakeEngine
) -> None:
    # Bands take so long that all five never fit, and at least one does on any machine.
    engine.band_seconds = 0.5
    body = {"prompt": "red", "seed": 7}
    cut = (await whole_gateway.generate({**body, "deadline_ms": 2_000})).json()
    bands = cut["data"][0]["bands_completed"]
    assert 1 <= bands < cut["bands"] == 5
    assert len(cut["data"][0]["band_latencies_ms"]) == bands
    engine.band_seconds = 0
    whole = (await whole_gateway.generate({**body, "bands": bands})).json()
    assert whole["data"][0]["b64_json"] == cut["data"][0]["b64_json"]


async def test_no_end_is_foretold_before_anything_is_measured(
    whole_gateway: Any, engine: FakeEngine
) -> None:
    engine.band_seconds = 0.2
    job = (await create(whole_gateway, class_label="red")).json()
    assert job["estimated_end_ms"] is None


async def test_a_job_tells_when_it_is_likely_to_start_and_end(open_gateway: Any) -> None:
    queue = NoWorkers()
    queue.pace = PACE
    gateway = open_gateway(queue)
    jobs = [(await create(gateway, class_label="red", bands=2)).json() for _ in range(4)]
    estimates = [(job["estimated_start_ms"], job["estimated_end_ms"]) for job in jobs]
    assert estimates == [(0, 3_000), (0, 3_000), (3_000, 6_000), (6_000, 9_000)]
    (lease,) = await queue.lease("w", model="fake", count=1, wait_seconds=0)
    job = (await gateway.client.get(jobs[0]["urls"]["self"])).json()
    assert (job["estimated_start_ms"], job["estimated_end_ms"]) == (None, 3_000)
    await queue.publish(lease, band(0), pictures={})
    job = (await gateway.client.get(jobs[0]["urls"]["self"])).json()
    assert (job["estimated_start_ms"], job["estimated_end_ms"]) == (None, 2_000)
    await gateway.client.post(jobs[3]["urls"]["cancel"])
    job = (await gateway.client.get(jobs[3]["urls"]["self"])).json()
    assert (job["estimated_start_ms"], job["estimated_end_ms"]) == (None, None)


async def test_what_a_worker_learns_reaches_the_jobs_answer(
    whole_gateway: Any, queue: MemoryQueue, engine: FakeEngine
) -> None:
    engine.band_seconds = 0.05
    for _ in range(3):
        answer = await whole_gateway.generate({"prompt": "red"})
        assert answer.status_code == 200
    async with asyncio.timeout(20):
        while (pace := (await queue.workers())[0].pace) is None or pace.picture is None:
            await asyncio.sleep(0.05)
    job = (await create(whole_gateway, class_label="red")).json()
    assert job["estimated_end_ms"] >= 5 * 50
