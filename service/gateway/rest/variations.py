"""`POST /v1/images/variations`: images that share their first bands with one that is uploaded."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from service.errors import InvalidRequest
from service.gateway.rest.callers import CountedCaller
from service.gateway.rest.forms import MULTIPART, Form, read_form
from service.gateway.rest.images import RESPONSES, answer_type, draft_of, respond
from service.gateway.rest.schemas import ImageVariationForm
from service.gateway.rest.services import SharedServices

PATH = "/v1/images/variations"
IMAGE = "image"


async def _read_form(request: Request) -> Form[ImageVariationForm]:
    return await read_form(request, ImageVariationForm, file=IMAGE)


CheckedForm = Annotated[Form[ImageVariationForm], Depends(_read_form)]


def router() -> APIRouter:
    routes = APIRouter(tags=["images"])

    @routes.post(
        PATH,
        summary="Draw variations of an image",
        responses=RESPONSES,
        openapi_extra={"requestBody": {"required": True, "content": {MULTIPART: _schema()}}},
    )
    async def vary(
        request: Request, caller: CountedCaller, form: CheckedForm, services: SharedServices
    ) -> Response:
        fields = form.fields
        media = answer_type(request, fields)
        if fields.class_label is None:
            text = "class_label is missing: say of which class the variations are"
            raise InvalidRequest(text, field="class_label")
        draft = draft_of(fields, media, class_field="class_label")
        draft = replace(draft, image=form.content, keep_bands=fields.keep_bands)
        return await respond(request, caller, fields, draft, services, media)

    return routes


def _schema() -> dict[str, Any]:
    """The form in the OpenAPI document; it is read by hand."""
    schema = ImageVariationForm.model_json_schema()
    description = "A square PNG, JPEG or WebP file, at most NFIG_MAX_UPLOAD_BYTES."
    image = {"type": "string", "format": "binary", "description": description}
    properties = {IMAGE: image, **schema["properties"]}
    return {"schema": {**schema, "properties": properties, "required": [IMAGE, "class_label"]}}
