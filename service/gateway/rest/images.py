"""`POST /v1/images/generations`: OpenAI's Images API, one answer or a stream of previews."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from service.errors import InvalidRequest, NotAcceptable
from service.gateway.access.principal import Principal
from service.gateway.admission import AcceptedJob
from service.gateway.drafts import Draft
from service.gateway.failures import as_service_error
from service.gateway.request_traces import became_job
from service.gateway.rest import negotiation
from service.gateway.rest.answers import images_answer, shed_headers, stream_event
from service.gateway.rest.bodies import read_json
from service.gateway.rest.callers import CountedCaller
from service.gateway.rest.connection import while_connected
from service.gateway.rest.errors import openai_error
from service.gateway.rest.event_stream import EventStream, ServerEvent
from service.gateway.rest.request_id import request_id
from service.gateway.rest.schemas import ImageGenerationBody, ImageOptions, ImagesAnswer
from service.gateway.rest.server_timing import timing_headers
from service.gateway.rest.services import SharedServices
from service.gateway.services import Services
from service.gateway.use_cases import ImageGeneration

OUR_NAMES = {
    "num_images": "n",
    "image_size": "size",
    "num_previews": "partial_images",
    "picture_format": "output_format",
    "picture_quality": "output_compression",
}
_SIZE = re.compile(r"([1-9][0-9]{0,5})x([1-9][0-9]{0,5})")
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": ImagesAnswer,
        "description": "The images; a stream of events with `stream`; the picture itself where "
        "`Accept` asks for it.",
        "content": {
            "text/event-stream": {},
            **{media: {} for media in negotiation.PICTURES},
        },
    },
    "default": {"description": "An error in OpenAI's shape; see docs/api.md for the codes."},
}


async def _read_body(request: Request) -> ImageGenerationBody:
    return await read_json(request, ImageGenerationBody)


CheckedBody = Annotated[ImageGenerationBody, Depends(_read_body)]


def router() -> APIRouter:
    routes = APIRouter(tags=["images"])
    # The body is read by hand, before FastAPI would; so its description is given by hand too.
    schema = ImageGenerationBody.model_json_schema()
    content = {negotiation.JSON: {"schema": schema}}

    @routes.post(
        "/v1/images/generations",
        summary="Draw images of a class",
        responses=RESPONSES,
        openapi_extra={"requestBody": {"required": True, "content": content}},
    )
    async def generate(
        request: Request, caller: CountedCaller, body: CheckedBody, services: SharedServices
    ) -> Response:
        media = answer_type(request, body)
        draft = draft_of(body, media, class_field=_class_field(body))
        return await respond(request, caller, body, draft, services, media)

    return routes


async def respond(
    request: Request,
    caller: Principal,
    body: ImageOptions,
    draft: Draft,
    services: Services,
    media: str,
) -> Response:
    """One answer or a stream, of any draft of images."""
    if body.stream:
        return await _stream(request, caller, body, draft, services)
    return await while_connected(
        request.receive, _answer(request, caller, body, draft, services, media)
    )


async def _answer(
    request: Request,
    caller: Principal,
    body: ImageOptions,
    draft: Draft,
    services: Services,
    media: str,
) -> Response:
    accepted = await _accept(request, caller, body, draft, services)
    images = await services.generation.draw(accepted)
    timing = timing_headers(image.timing for image in images)
    if media != negotiation.JSON:
        image = images[0]
        headers = {
            "etag": f'"{image.picture.digest}"',
            "x-nfig-model": accepted.card.id,
            "x-nfig-job": accepted.job.id,
            "x-nfig-seed": str(accepted.job.request.seed),
            "x-nfig-bands-completed": str(image.bands_completed),
            **shed_headers(images),
            **timing,
        }
        return Response(image.content, media_type=media, headers=headers)
    url_base = str(request.base_url) if body.response_format == "url" else None
    answer = images_answer(accepted, images, url_base=url_base)
    headers = {**shed_headers(images), **timing}
    return JSONResponse(answer.model_dump(exclude_none=True), headers=headers)


async def _stream(
    request: Request,
    caller: Principal,
    body: ImageOptions,
    draft: Draft,
    services: Services,
) -> Response:
    # Whatever is refused at the door is still an ordinary HTTP error.
    accepted = await _accept(request, caller, body, draft, services)
    return EventStream(
        _events(accepted, services.generation, request_id=request_id(request.scope)),
        keepalive_seconds=services.settings.keepalive_seconds,
        clients=services.metrics.stream_clients,
        headers={"x-nfig-job": accepted.job.id},
    )


async def _events(
    accepted: AcceptedJob, generation: ImageGeneration, *, request_id: str
) -> AsyncGenerator[ServerEvent]:
    try:
        async with aclosing(generation.follow(accepted)) as items:
            async for item in items:
                yield stream_event(accepted, item)
    except Exception as error:
        # The status line is long gone, so the error travels as an event that clients raise.
        failure = as_service_error(error, request_id=request_id)
        yield ServerEvent(name="error", data=openai_error(failure, request_id=request_id))


async def _accept(
    request: Request,
    caller: Principal,
    body: ImageOptions,
    draft: Draft,
    services: Services,
) -> AcceptedJob:
    accepting = services.admission.accept(draft, caller=caller, attached=True)
    accepted = await services.generation.own(accepting)
    became_job(accepted, user=body.user)
    return accepted


def answer_type(request: Request, body: ImageOptions) -> str:
    """The media type of the answer. Raises NotAcceptable, InvalidRequest."""
    accept = ",".join(request.headers.getlist("accept"))
    if body.stream:
        # OpenAI's own clients ask for JSON when they mean a stream.
        negotiation.choose(accept, [negotiation.EVENTS, negotiation.JSON])
        return negotiation.EVENTS
    media = negotiation.choose(accept, [negotiation.JSON, *negotiation.PICTURES])
    if media == negotiation.JSON:
        return media
    if body.n not in (None, 1):
        raise InvalidRequest(f"n must be 1 for an answer of type {media}", field="n")
    if body.response_format is not None:
        text = f"response_format is not possible in an answer of type {media}"
        raise InvalidRequest(text, field="response_format")
    if body.output_format not in (None, negotiation.PICTURES[media]):
        text = f"output_format {body.output_format} contradicts accept, which asks for {media}"
        raise NotAcceptable(text, field="output_format")
    return media


def draft_of(body: ImageOptions, media: str, *, class_field: str) -> Draft:
    """The draft; `class_field` is which field names the class. Raises InvalidRequest."""
    if body.partial_images is not None and not body.stream:
        raise InvalidRequest("partial_images needs stream to be true", field="partial_images")
    if body.stream and body.response_format == "url":
        raise InvalidRequest(
            "response_format must be b64_json in a stream", field="response_format"
        )
    return Draft(
        class_label=getattr(body, class_field),
        model=body.model,
        num_images=body.n,
        image_size=_image_size(body.size),
        seed=body.seed,
        guidance_scale=body.guidance_scale,
        top_k=body.top_k,
        top_p=body.top_p,
        temperature=body.temperature,
        bands=body.bands,
        num_previews=body.partial_images,
        picture_format=negotiation.PICTURES.get(media, body.output_format),
        picture_quality=body.output_compression,
        deadline_ms=body.deadline_ms,
        start_within_ms=body.start_within_ms,
        priority=body.priority,
        brownout=body.brownout,
        names={**OUR_NAMES, "class_label": class_field},
    )


def _class_field(body: ImageGenerationBody) -> str:
    """Which of the two names for the class the caller used. Raises InvalidRequest."""
    if body.prompt is None and body.class_label is None:
        raise InvalidRequest("prompt is missing: give a class id or class name", field="prompt")
    if body.prompt is not None and body.class_label is not None:
        text = "class_label is another name for prompt: give one of the two"
        raise InvalidRequest(text, field="class_label")
    return "prompt" if body.class_label is None else "class_label"


def _image_size(size: str | None) -> int | None:
    if size is None or size == "auto":
        return None
    match = _SIZE.fullmatch(size)
    if match is None or match[1] != match[2]:
        raise InvalidRequest("size must be auto or a square like 64x64", field="size")
    return int(match[1])
