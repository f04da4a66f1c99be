"""Laws of keys, tenants and limits over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from service.gateway.access.keys import new_key
from service.jobs.memory_queue import MemoryQueue

ACME, ZEAL = new_key("acme"), new_key("zeal")
LIMITS = """
[tenants.zeal]
requests_per_minute = 3
jobs_in_flight = 1
images_per_request = 2

"""
JOB = {"class_label": "red"}


@pytest.fixture
def keys(tmp_path: Path) -> str:
    path = tmp_path / "keys.toml"
    path.write_text(LIMITS + ACME.entry + ZEAL.entry)
    return str(path)


@pytest.fixture
def locked(open_gateway: Any, queue: MemoryQueue, keys: str) -> Any:
    """A gateway that asks for keys, over a queue that is drawn from."""
    return open_gateway(queue, queue_timeout_seconds=5, api_keys_file=keys).client


@pytest.fixture
def idle(open_gateway: Any, scripted_queue: Any, keys: str) -> Any:
    """The same over a queue that nobody draws from, where jobs wait."""
    scripted = scripted_queue()
    waiting = MemoryQueue()
    scripted.submit, scripted.submit_once = waiting.submit, waiting.submit_once
    scripted.submitted, scripted.count_request = waiting.submitted, waiting.count_request
    for name in ("job", "history", "position", "cancel", "events"):
        setattr(scripted, name, getattr(waiting, name))
    gateway = open_gateway(scripted, api_keys_file=keys)
    gateway.queue.waiting = waiting
    return gateway


def by(made: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {made.key}"}


def path_of(url: str) -> str:
    return httpx.URL(url).path


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/images/generations"),
        ("POST", "/v1/jobs"),
        ("GET", "/v1/jobs/x"),
        ("POST", "/v1/jobs/x/cancel"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/tiny"),
    ],
)
@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer none", ACME.key, f"Basic {ACME.key}", "Bearer \xfc"],
    # Not by the key, which is another one in each process.
    ids=["none", "empty", "no-key", "blank", "unknown", "bare-key", "basic", "latin-1"],
)
async def test_without_a_good_key_there_is_only_401(
    locked: httpx.AsyncClient, method: str, path: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"authorization": authorization.encode("latin-1")}
    # Not JSON: a stranger's body is not even looked at.
    answer = await locked.request(method, path, content=b"{", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="nfig"'
    assert answer.headers["x-should-retry"] == "false"
    if path.startswith("/v1/images"):
        assert answer.json()["error"]["code"] == "invalid_api_key"
    else:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "invalid_api_key"


async def test_a_good_key_draws(locked: httpx.AsyncClient) -> None:
    body = {"prompt": "red"}
    answer = await locked.post("/v1/images/generations", json=body, headers=by(ACME))
    assert answer.status_code == 200
    lower = {"authorization": f"bearer {ACME.key}"}
    assert (await locked.get("/v1/models", headers=lower)).status_code == 200


async def test_a_job_is_visible_to_its_tenant_alone(locked: httpx.AsyncClient) -> None:
    waited = {**by(ACME), "prefer": "wait=10"}
    job = (await locked.post("/v1/jobs", json=JOB, headers=waited)).json()
    own, image = path_of(job["urls"]["self"]), path_of(job["urls"]["images"][0])
    picture = f"{own}/pictures/{job['images'][0]['digest']}"
    for path in (own, image, picture, f"{own}/events"):
        assert (await locked.get(path, headers=by(ACME))).status_code == 200
        other = await locked.get(path, headers=by(ZEAL))
        nothing = await locked.get(path.replace(job["id"], "0" * 32), headers=by(ZEAL))
        assert (other.status_code, nothing.status_code) == (404, 404)
        assert {**other.json(), "request_id": "", "detail": ""} == {
            **nothing.json(),
            "request_id": "",
            "detail": "",
        }
    assert (await locked.post(f"{own}/cancel", headers=by(ZEAL))).status_code == 404


async def test_another_tenant_cannot_cancel(idle: Any) -> None:
    job = (await idle.client.post("/v1/jobs", json=JOB_OF_CARD, headers=by(ACME))).json()
    path = f"/v1/jobs/{job['id']}"
    assert (await idle.client.post(f"{path}/cancel", headers=by(ZEAL))).status_code == 404
    assert (await idle.client.get(path, headers=by(ACME))).json()["state"] == "queued"


async def test_whoever_knows_the_id_may_look_but_not_touch(locked: httpx.AsyncClient) -> None:
    waited = {**by(ACME), "prefer": "wait=10"}
    job = (await locked.post("/v1/jobs", json=JOB, headers=waited)).json()
    own, image = path_of(job["urls"]["self"]), path_of(job["urls"]["images"][0])
    assert (await locked.get(image)).status_code == 200
    assert (await locked.get(f"{own}/events")).status_code == 200
    assert (await locked.get(own)).status_code == 401
    assert (await locked.post(f"{own}/cancel")).status_code == 401
    wrong = {"authorization": "Bearer none"}
    assert (await locked.get(image, headers=wrong)).status_code == 401


async def test_links_may_need_a_key_too(open_gateway: Any, queue: MemoryQueue, keys: str) -> None:
    gateway = open_gateway(queue, api_keys_file=keys, links_without_key=False)
    for rest in ("events", "images/0", "pictures/" + "0" * 64):
        assert (await gateway.client.get(f"/v1/jobs/x/{rest}")).status_code == 401


JOB_OF_CARD = {"class_label": "cat"}


async def test_a_caller_over_its_requests_is_told_when_to_come_back(idle: Any) -> None:
    answers = [
        await idle.client.post("/v1/jobs", json={"class_label": "nobody"}, headers=by(ZEAL))
        for _ in range(4)
    ]
    assert [answer.status_code for answer in answers] == [400, 400, 400, 429]
    left = [answer.headers["x-ratelimit-remaining-requests"] for answer in answers]
    assert left == ["2", "1", "0", "0"]
    refused = answers[-1]
    assert refused.json()["code"] == "rate_limit_exceeded"
    assert 1 <= int(refused.headers["retry-after"]) <= 20
    assert refused.headers["x-should-retry"] == "true"
    assert refused.headers["x-ratelimit-limit-requests"] == "3"
    assert refused.headers["x-ratelimit-reset-requests"].endswith("s")
    # Looking costs nothing, and another tenant has a budget of its own, or none at all.
    assert (await idle.client.get("/v1/models", headers=by(ZEAL))).status_code == 200
    other = await idle.client.post("/v1/jobs", json=JOB_OF_CARD, headers=by(ACME))
    assert other.status_code == 202
    assert "x-ratelimit-limit-requests" not in other.headers


async def test_the_settings_limit_tenants_that_the_file_does_not(
    open_gateway: Any, queue: MemoryQueue, keys: str
) -> None:
    rate = 7
    gateway = open_gateway(queue, api_keys_file=keys, tenant_requests_per_minute=rate)
    stated = []
    for made in (ACME, ZEAL):
        answer = await gateway.client.post("/v1/jobs", json={}, headers=by(made))
        stated.append(answer.headers["x-ratelimit-limit-requests"])
    assert stated == ["7", "3"]
    anonymous = open_gateway(queue, tenant_requests_per_minute=rate)
    answer = await anonymous.client.post("/v1/jobs", json={})
    assert answer.headers["x-ratelimit-limit-requests"] == "7"


async def test_a_caller_over_its_jobs_is_told_so_on_both_doors(idle: Any) -> None:
    assert (await idle.client.post("/v1/jobs", json=JOB_OF_CARD, headers=by(ZEAL))).is_success
    native = await idle.client.post("/v1/jobs", json=JOB_OF_CARD, headers=by(ZEAL))
    compatible = await idle.client.post(
        "/v1/images/generations", json={"prompt": "cat"}, headers=by(ZEAL)
    )
    for answer in (native, compatible):
        assert answer.status_code == 429
        assert "retry-after" in answer.headers
    assert compatible.json()["error"]["type"] == "requests"


async def test_images_per_request_are_the_tenants(idle: Any) -> None:
    body = {**JOB_OF_CARD, "num_images": 3}
    answer = await idle.client.post("/v1/jobs", json=body, headers=by(ZEAL))
    assert (answer.status_code, answer.json()["field"]) == (400, "num_images")
    assert (await idle.client.post("/v1/jobs", json=body, headers=by(ACME))).status_code == 202


async def test_an_idempotency_key_is_the_tenants_own(idle: Any) -> None:
    ids = []
    for made in (ACME, ZEAL, ACME):
        headers = {**by(made), "idempotency-key": "k"}
        ids.append((await idle.client.post("/v1/jobs", json=JOB_OF_CARD, headers=headers)).json())
    assert ids[0]["id"] == ids[2]["id"] != ids[1]["id"]


async def test_a_repetition_is_answered_though_nothing_new_would_be(idle: Any) -> None:
    headers = {**by(ZEAL), "idempotency-key": "k"}
    first = await idle.client.post("/v1/jobs", json=JOB_OF_CARD, headers=headers)
    idle.queue.statuses = []
    again = await idle.client.post("/v1/jobs", json=JOB_OF_CARD, headers=headers)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (202, "true")
    assert again.json()["id"] == first.json()["id"]
    other = {**headers, "idempotency-key": "other"}
    refused = await idle.client.post("/v1/jobs", json=JOB_OF_CARD, headers=other)
    assert refused.json()["code"] == "engine_unavailable"


async def test_where_no_keys_are_asked_for_any_is_ignored(gateway: Any) -> None:
    answer = await gateway.generate({"prompt": "cat"}, authorization="Bearer none")
    assert answer.status_code == 200
    assert gateway.queue.jobs["job-0"].tenant == "anonymous"


async def test_the_document_says_what_needs_a_key(locked: httpx.AsyncClient, gateway: Any) -> None:
    document = (await locked.get("/openapi.json")).json()
    scheme = {"type": "http", "scheme": "bearer"}
    assert document["components"]["securitySchemes"] == {"api_key": scheme}
    paths = document["paths"]
    assert paths["/v1/jobs"]["post"]["security"] == [{"api_key": []}]
    assert {} in paths["/v1/jobs/{job_id}/events"]["get"]["security"]
    assert "security" not in paths["/health/live"]["get"]
    open_document = (await gateway.client.get("/openapi.json")).json()
    assert "securitySchemes" not in open_document["components"]
