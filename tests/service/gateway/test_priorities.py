"""Laws of priorities and of full memory at the door."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.domain import Priority
from service.gateway.access.keys import new_key, read_keys
from service.jobs.memory_queue import MemoryQueue
from service.jobs.pace import Pace, StepTime
from service.jobs.queue import Backlog, QueueLimits

ACME = new_key("acme")
STEP = StepTime(median=1.0, p90=1.0)
PACE = Pace(bands=(STEP,) * 5, picture=STEP, job=StepTime(median=6.0, p90=8.0), jobs_at_once=2.0)


async def create(gateway: Any, **fields: object) -> httpx.Response:
    answer: httpx.Response = await gateway.client.post(
        "/v1/jobs", json={"class_label": "cat", **fields}
    )
    return answer


async def test_the_priority_travels_with_the_job_and_is_normal_by_default(gateway: Any) -> None:
    for priority in (None, "low", "high"):
        answer = await create(gateway, priority=priority)
        assert answer.json()["priority"] == (priority or "normal")
    assert [request.priority for request in gateway.queue.requests] == ["normal", "low", "high"]
    await gateway.client.post("/v1/images/generations", json={"prompt": "cat", "priority": "low"})
    assert gateway.queue.requests[-1].priority == "low"


@pytest.mark.parametrize("wrong", ["highest", "", "High", 1, True])
async def test_a_priority_that_is_none_is_refused_by_name(gateway: Any, wrong: object) -> None:
    answer = await create(gateway, priority=wrong)
    assert (answer.status_code, answer.json()["field"]) == (400, "priority")
    answer = await gateway.client.post(
        "/v1/images/generations", json={"prompt": "cat", "priority": wrong}
    )
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "priority")


@pytest.fixture
def keys(tmp_path: Path) -> str:
    path = tmp_path / "keys.toml"
    path.write_text(f'[tenants.acme]\nmax_priority = "normal"\n\n{ACME.entry}')
    return str(path)


async def test_a_tenant_may_not_go_above_its_own_priority(
    open_gateway: Any, scripted_queue: Any, keys: str
) -> None:
    gateway = open_gateway(scripted_queue(), api_keys_file=keys)
    gateway.client.headers["authorization"] = f"Bearer {ACME.key}"
    refused = await create(gateway, priority="high")
    assert (refused.status_code, refused.json()["code"]) == (403, "priority_not_allowed")
    assert (refused.json()["field"], "retry-after" in refused.headers) == ("priority", False)
    refused = await gateway.client.post(
        "/v1/images/generations", json={"prompt": "cat", "priority": "high"}
    )
    assert refused.json()["error"]["param"] == "priority"
    for priority in ("normal", "low"):
        assert (await create(gateway, priority=priority)).is_success
    assert len(gateway.queue.requests) == 2


async def test_the_setting_is_for_tenants_that_the_file_does_not_limit(
    open_gateway: Any, scripted_queue: Any
) -> None:
    gateway = open_gateway(scripted_queue(), tenant_max_priority="low")
    assert (await create(gateway, priority="low")).is_success
    assert (await create(gateway, priority="high")).status_code == 403
    # Who does not say asks for nothing that it may not have.
    assert (await create(gateway)).json()["priority"] == "low"


def test_a_tenants_priority_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"tenants\.acme\.max_priority"):
        read_keys(f'[tenants.acme]\nmax_priority = "urgent"\n{ACME.entry}')


async def test_a_deadline_is_judged_by_what_is_ahead_of_this_priority(gateway: Any) -> None:
    gateway.queue.statuses = [replace(gateway.queue.statuses[0], pace=PACE)]

    async def backlog(model: str, *, ahead_of: Priority | None = None) -> Backlog:
        return Backlog(waiting=0 if ahead_of == "high" else 50, running=0)

    gateway.queue.backlog = backlog
    assert (await create(gateway, deadline_ms=10_000)).status_code == 503
    assert (await create(gateway, deadline_ms=10_000, priority="high")).is_success


async def test_a_queue_without_memory_refuses_by_name_and_says_when_to_come_back(
    gateway: Any,
) -> None:
    full = MemoryQueue(QueueLimits(memory_bytes=10_000))
    gateway.queue.submit = full.submit
    answer = await create(gateway)
    assert (answer.status_code, answer.json()["code"]) == (503, "queue_full")
    assert "memory" in answer.json()["detail"]
    assert int(answer.headers["retry-after"]) >= 1
