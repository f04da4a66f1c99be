"""Laws of errors over HTTP: one catalogue, two shapes, no surprises."""

from __future__ import annotations

import re
from typing import Any

import pytest

from service.errors import (
    CATALOGUE,
    JobCancelledError,
    JobLost,
    Refused,
    ServiceError,
    catalogued,
    from_code,
)
from service.gateway.rest.errors import openai_error, problem, render
from service.gateway.rest.job_schemas import JobBody
from service.gateway.rest.schemas import ImageVariationForm

SCOPE = {"path": "/v1/images/generations", "state": {"request_id": "r"}}
NOT_SHOWN = {ServiceError, Refused, JobLost}
"""Branches of the tree, and what never leaves a worker."""


def kinds(root: type[ServiceError]) -> set[type[ServiceError]]:
    return {root}.union(*(kinds(kind) for kind in root.__subclasses__()))


def test_every_error_is_in_the_catalogue_or_exempt() -> None:
    assert kinds(ServiceError) - NOT_SHOWN == set(CATALOGUE)


def test_codes_are_unique_and_lead_back_to_their_error() -> None:
    for kind, entry in CATALOGUE.items():
        assert type(from_code(entry.code, "text")) is kind
        assert entry.retryable == (entry.http_status in (429, 503, 504))


def test_an_error_without_an_entry_is_internal() -> None:
    assert catalogued(JobLost("text")).code == "internal"
    assert catalogued(Refused("text")).code == "internal"


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.__name__)
def test_both_shapes_say_the_same(kind: type[ServiceError]) -> None:
    error = kind("what went wrong", field="n")
    inner = openai_error(error, request_id="r")["error"]
    flat = problem(error, request_id="r")
    entry = CATALOGUE[kind]
    assert inner["code"] == flat["code"] == entry.code
    assert inner["status"] == flat["status"] == entry.http_status
    assert inner["message"] == flat["detail"] == "what went wrong"
    assert inner["param"] == flat["field"] == "n"
    assert flat["title"] == entry.title


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.__name__)
def test_clients_retry_exactly_what_is_retryable(kind: type[ServiceError]) -> None:
    answer = render(kind("text", retry_after_s=0.3), SCOPE)
    retryable = CATALOGUE[kind].retryable
    assert answer.headers["x-should-retry"] == ("true" if retryable else "false")
    assert answer.headers.get("retry-after") == ("1" if retryable else None)


def test_a_conflict_is_not_retried() -> None:
    assert render(JobCancelledError("text"), SCOPE).status_code == 409
    assert render(JobCancelledError("text"), SCOPE).headers["x-should-retry"] == "false"


async def test_unknown_paths_and_methods_are_errors_of_the_same_shapes(gateway: Any) -> None:
    for path in ("/v1/jobs/", "/v1/models/", "/v1/nothing"):
        answer = await gateway.client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert answer.headers["content-type"] == "application/problem+json"
    answer = await gateway.client.post("/v1/models")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET"
    answer = await gateway.client.get("/v1/jobs")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    answer = await gateway.client.get("/v1/images/generations")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    answer = await gateway.client.post("/v1/images/generations/", json={"prompt": "cat"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


async def test_a_callers_request_id_is_kept_if_it_is_harmless(gateway: Any) -> None:
    get = gateway.client.get
    assert (await get("/health/live", headers={"x-request-id": "a-1.b"})).headers[
        "x-request-id"
    ] == "a-1.b"
    for hostile in ("", "x" * 129, "a b", "a\tb", "<script>"):
        made = (await get("/health/live", headers={"x-request-id": hostile})).headers[
            "x-request-id"
        ]
        assert re.fullmatch(r"req_[0-9a-f]{32}", made)


async def test_every_answer_tells_its_processing_time(gateway: Any) -> None:
    for path in ("/health/live", "/nothing"):
        assert int((await gateway.client.get(path)).headers["openai-processing-ms"]) >= 0


async def test_other_sites_are_not_invited(gateway: Any) -> None:
    answer = await gateway.client.get("/v1/models", headers={"origin": "https://elsewhere.example"})
    assert not any(name.startswith("access-control") for name in answer.headers)


async def test_the_description_covers_every_field_and_route(gateway: Any) -> None:
    description = (await gateway.client.get("/openapi.json")).json()
    assert set(description["paths"]) == {
        "/v1/images/generations",
        "/v1/images/variations",
        "/v1/models",
        "/v1/models/{model}",
        "/v1/jobs",
        "/v1/jobs/{job_id}",
        "/v1/jobs/{job_id}/cancel",
        "/v1/jobs/{job_id}/events",
        "/v1/jobs/{job_id}/pictures/{digest}",
        "/v1/jobs/{job_id}/images/{index}",
        "/health/live",
        "/health/ready",
    }
    operation = description["paths"]["/v1/images/generations"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert {"prompt", "class_label", "seed", "bands", "partial_images"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False
    operation = description["paths"]["/v1/images/variations"]["post"]
    schema = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(schema["properties"]) == {"image", *ImageVariationForm.model_fields}
    assert schema["additionalProperties"] is False
    operation = description["paths"]["/v1/jobs"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["properties"]) == set(JobBody.model_fields)
    assert schema["additionalProperties"] is False
    assert set(operation["responses"]) == {"200", "202", "default"}
    assert {each["name"] for each in operation["parameters"]} == {"Prefer", "Idempotency-Key"}
    watching = description["paths"]["/v1/jobs/{job_id}/events"]["get"]
    named = [parameter["name"] for parameter in watching["parameters"]]
    assert named == ["job_id", "after", "last-event-id"]
    assert "422" not in str(description)
    assert (await gateway.client.get("/docs")).status_code == 200
