"""`GET /v1/jobs/{id}/images/{index}`: where `response_format: "url"` points."""

from __future__ import annotations

from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from service.domain import TERMINAL_STATES, ImageCompleted, Picture
from service.errors import NotFound
from service.gateway.cards import answered_within
from service.gateway.rest.services import SharedServices
from service.jobs.queue import JobQueue

JobId = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
ImageIndex = Annotated[int, Path(ge=0, le=10_000)]
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {}, "image/jpeg": {}, "image/webp": {}}},
    304: {"description": "The caller's copy is the picture."},
    "default": {"description": "Problem details."},
}


def router() -> APIRouter:
    routes = APIRouter(tags=["jobs"])

    @routes.get(
        "/v1/jobs/{job_id}/images/{index}",
        summary="The picture of a finished job",
        response_class=Response,
        responses=_RESPONSES,
    )
    async def image(
        job_id: JobId, index: ImageIndex, request: Request, services: SharedServices
    ) -> Response:
        wait = services.settings.queue_timeout_seconds
        picture = await answered_within(wait, _picture(services.queue, job_id, index))
        # A picture never changes under its address: it is a pure function of the request.
        headers = {
            "etag": f'"{picture.digest}"',
            "cache-control": "public, max-age=31536000, immutable",
        }
        if _has_copy(request, picture.digest):
            return Response(status_code=304, headers=headers)
        content = await answered_within(wait, services.queue.picture(job_id, picture.digest))
        return Response(content, media_type=f"image/{picture.format}", headers=headers)

    return routes


async def _picture(queue: JobQueue, job_id: str, index: int) -> Picture:
    job = await queue.job(job_id)
    if job.state not in TERMINAL_STATES:
        raise NotFound("the job has not ended yet", field="job_id")
    async with aclosing(queue.events(job_id)) as log:
        async for logged in log:
            event = logged.event
            if isinstance(event, ImageCompleted) and event.image_index == index:
                return event.picture
    raise NotFound("the job has no such image", field="index")


def _has_copy(request: Request, digest: str) -> bool:
    known = {tag.strip().removeprefix("W/") for tag in _if_none_match(request).split(",")}
    return "*" in known or f'"{digest}"' in known


def _if_none_match(request: Request) -> str:
    return ",".join(request.headers.getlist("if-none-match"))
