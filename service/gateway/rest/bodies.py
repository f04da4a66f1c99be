"""Request bodies, read by hand so that every complaint is in our words."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from service.errors import UnsupportedMediaType
from service.gateway.rest import negotiation
from service.gateway.rest.connection import ClientGone
from service.gateway.rest.errors import invalid_field

Body = TypeVar("Body", bound=BaseModel)


def require_type(request: Request, wanted: str) -> None:
    """Raises UnsupportedMediaType."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != wanted:
        raise UnsupportedMediaType(f"content-type must be {wanted}", field="content-type")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        text = "content-encoding is not supported: send the body as it is"
        raise UnsupportedMediaType(text, field="content-encoding")


async def read_json(request: Request, kind: type[Body]) -> Body:
    """The checked body. Raises InvalidRequest, UnsupportedMediaType, BodyTooLarge."""
    require_type(request, negotiation.JSON)
    try:
        return kind.model_validate_json(await request.body())
    except ValidationError as error:
        raise invalid_field(list(error.errors(include_url=False, include_context=False))) from None
    except ClientDisconnect:
        raise ClientGone from None
