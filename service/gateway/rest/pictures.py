"""The pictures of a job: images by their index, everything by its digest."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from service.domain import PictureFormat
from service.gateway.rest.callers import Viewer
from service.gateway.rest.services import JobId, SharedServices

ImageIndex = Annotated[int, Path(ge=0, le=10_000)]
Digest = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {}, "image/jpeg": {}, "image/webp": {}}},
    304: {"description": "The caller's copy is the picture."},
    "default": {"description": "Problem details."},
}


def router() -> APIRouter:
    routes = APIRouter(tags=["jobs"])

    @routes.get(
        "/v1/jobs/{job_id}/images/{index}",
        summary="The picture of a complete image",
        response_class=Response,
        responses=_RESPONSES,
    )
    async def image(
        viewer: Viewer,
        job_id: JobId,
        index: ImageIndex,
        request: Request,
        services: SharedServices,
    ) -> Response:
        picture = await services.jobs.image(job_id, index, caller=viewer)
        if _has_copy(request, picture.digest):
            return Response(status_code=304, headers=_headers(picture.digest))
        content = await services.jobs.content(job_id, picture.digest)
        return _answer(content, digest=picture.digest, picture_format=picture.format)

    @routes.get(
        "/v1/jobs/{job_id}/pictures/{digest}",
        summary="A picture of a job by its digest, previews too",
        response_class=Response,
        responses=_RESPONSES,
    )
    async def picture(
        viewer: Viewer, job_id: JobId, digest: Digest, request: Request, services: SharedServices
    ) -> Response:
        job = await services.jobs.job(job_id, caller=viewer)
        content = await services.jobs.content(job_id, digest)
        if _has_copy(request, digest):
            return Response(status_code=304, headers=_headers(digest))
        return _answer(content, digest=digest, picture_format=job.request.picture_format)

    return routes


def _answer(content: bytes, *, digest: str, picture_format: PictureFormat) -> Response:
    return Response(content, media_type=f"image/{picture_format}", headers=_headers(digest))


def _headers(digest: str) -> dict[str, str]:
    # A picture never changes under its address: it is a pure function of the request.
    return {"etag": f'"{digest}"', "cache-control": "public, max-age=31536000, immutable"}


def _has_copy(request: Request, digest: str) -> bool:
    known = {tag.strip().removeprefix("W/") for tag in _if_none_match(request).split(",")}
    return "*" in known or f'"{digest}"' in known


def _if_none_match(request: Request) -> str:
    return ",".join(request.headers.getlist("if-none-match"))
