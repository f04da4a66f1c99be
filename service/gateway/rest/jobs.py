"""`/v1/jobs`: jobs that are created, looked at and cancelled by id; their caller need not stay."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.domain import TERMINAL_STATES
from service.gateway.drafts import Draft
from service.gateway.idempotency import idempotency_key
from service.gateway.native_jobs import JobStatus
from service.gateway.request_traces import became_job
from service.gateway.rest import negotiation
from service.gateway.rest.bodies import read_json
from service.gateway.rest.callers import Caller, counted_caller
from service.gateway.rest.connection import while_connected
from service.gateway.rest.job_answers import JobAddresses, job_answer
from service.gateway.rest.job_schemas import JobAnswer, JobBody
from service.gateway.rest.preferences import read_preferences
from service.gateway.rest.server_timing import timing_headers
from service.gateway.rest.services import JobId, SharedServices, services_of
from service.jobs.queue import IdempotencyKey

_PROBLEM: dict[int | str, dict[str, Any]] = {"default": {"description": "Problem details."}}
_CREATED: dict[int | str, dict[str, Any]] = {
    200: {"model": JobAnswer, "description": "With `Prefer: wait`: the job, which has ended."},
    202: {"model": JobAnswer, "description": "The job is accepted; `Location` is its address."},
    **_PROBLEM,
}
_CANCELLED: dict[int | str, dict[str, Any]] = {
    200: {"model": JobAnswer, "description": "The job has ended, by this or before."},
    202: {"model": JobAnswer, "description": "The job runs and will end at its next band."},
    **_PROBLEM,
}


def router() -> APIRouter:
    routes = APIRouter(tags=["jobs"])
    content = {negotiation.JSON: {"schema": JobBody.model_json_schema()}}

    @routes.post(
        "/v1/jobs",
        summary="Create a job",
        status_code=202,
        responses=_CREATED,
        openapi_extra={
            "requestBody": {"required": True, "content": content},
            "parameters": [
                _header("Prefer", "`wait=N` (seconds) or `respond-async`."),
                _header("Idempotency-Key", "Your own name for this request: it becomes one job."),
            ],
        },
    )
    async def create(request: Request) -> Response:
        # By hand: dependencies are worked out anew for every request, at a tenth of its cost.
        services = services_of(request)
        caller = await counted_caller(request, services)
        body = await read_json(request, JobBody)
        preferences = read_preferences(
            request.headers.getlist("prefer"),
            max_wait_seconds=services.settings.request_timeout_seconds,
        )
        draft = _draft(body)
        accepted = await services.admission.accept(draft, caller=caller, once=_once(request, draft))
        job = accepted.job
        became_job(accepted)
        wait = preferences.wait_seconds or 0
        standing = accepted.standing
        outcome = services.jobs.outcome(job, within_seconds=wait, standing=standing)
        status = await (while_connected(request.receive, outcome) if wait > 0 else outcome)
        addresses = JobAddresses(request, job.id)
        headers = {"location": addresses.job, **preferences.headers()}
        if accepted.replayed:
            headers["idempotency-replayed"] = "true"
        return _answer(status, addresses, headers=headers)

    @routes.get("/v1/jobs/{job_id}", summary="What has become of a job", responses=_PROBLEM)
    async def show(
        caller: Caller, job_id: JobId, request: Request, services: SharedServices, answer: Response
    ) -> JobAnswer:
        status = await services.jobs.status(job_id, caller=caller)
        answer.headers.update(timing_headers(image.timing for image in status.images))
        return job_answer(status, JobAddresses(request, job_id))

    @routes.post(
        "/v1/jobs/{job_id}/cancel", summary="Cancel a job", status_code=202, responses=_CANCELLED
    )
    async def cancel(
        caller: Caller, job_id: JobId, request: Request, services: SharedServices
    ) -> Response:
        status = await services.jobs.cancel(job_id, caller=caller)
        return _answer(status, JobAddresses(request, job_id))

    return routes


def _answer(
    status: JobStatus, addresses: JobAddresses, *, headers: dict[str, str] | None = None
) -> Response:
    """200 with a job that has ended, 202 with one that has not."""
    answer = job_answer(status, addresses)
    code = 200 if status.job.state in TERMINAL_STATES else 202
    content = answer.model_dump_json()
    timing = timing_headers(image.timing for image in status.images)
    return Response(content, code, {**(headers or {}), **timing}, media_type=negotiation.JSON)


def _draft(body: JobBody) -> Draft:
    fields = body.model_dump(exclude={"previews"})
    return Draft(**fields, num_previews=body.previews, names={"num_previews": "previews"})


def _once(request: Request, draft: Draft) -> IdempotencyKey | None:
    """Raises InvalidRequest."""
    keys = request.headers.getlist("idempotency-key")
    # Two keys join to one with a space in it, which is refused.
    return idempotency_key(", ".join(keys), draft) if keys else None


def _header(name: str, description: str) -> dict[str, Any]:
    """A header that is read by hand, in the OpenAPI document."""
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}
