"""Forms with a file in them, read by hand so that every complaint is in our words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from service.errors import InvalidImage, InvalidRequest
from service.gateway.rest.bodies import require_type
from service.gateway.rest.connection import ClientGone
from service.gateway.rest.errors import SHOWN_CHARACTERS, invalid_field

MULTIPART = "multipart/form-data"
MAX_FIELDS = 64
MAX_FIELD_BYTES = 4096
Fields = TypeVar("Fields", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class Form(Generic[Fields]):
    fields: Fields
    content: bytes
    """Of the file."""


class _Parser(MultiPartParser):
    # Never to disk: whoever limits the body has limited the memory.
    spool_max_size = 2**62

    def close(self) -> None:
        """Lets go of every file, whole or not."""
        for file in self._files_to_close_on_error:
            file.close()


async def read_form(request: Request, kind: type[Fields], *, file: str) -> Form[Fields]:
    """The checked fields, and the one file, which is named `file`.

    A field that is empty counts as absent. Raises InvalidRequest, UnsupportedMediaType,
    BodyTooLarge.
    """
    require_type(request, MULTIPART)
    parser = _Parser(
        request.headers,
        request.stream(),
        max_files=1,
        max_fields=MAX_FIELDS,
        max_part_size=MAX_FIELD_BYTES,
    )
    try:
        items = await _items(parser)
        content = await _file(items, file)
    finally:
        parser.close()
    texts = {name: value for name, value in items.items() if name != file and value != ""}
    try:
        return Form(fields=kind.model_validate(texts), content=content)
    except ValidationError as error:
        raise invalid_field(list(error.errors(include_url=False, include_context=False))) from None


async def _items(parser: _Parser) -> dict[str, str | UploadFile]:
    try:
        form: FormData = await parser.parse()
    except MultiPartException as error:
        raise InvalidRequest(f"the form cannot be read: {error.message}", field="body") from None
    except ClientDisconnect:
        raise ClientGone from None
    items: dict[str, str | UploadFile] = {}
    for name, value in form.multi_items():
        if name in items:
            name = name[:SHOWN_CHARACTERS]
            raise InvalidRequest(f"{name} is given more than once", field=name)
        items[name] = value
    return items


async def _file(items: dict[str, str | UploadFile], name: str) -> bytes:
    for other, value in items.items():
        if isinstance(value, UploadFile) and other != name:
            other = other[:SHOWN_CHARACTERS]
            raise InvalidRequest(f"{other} is not a file that is read here", field=other)
    file = items.get(name)
    if not isinstance(file, UploadFile):
        how = "must be a file" if file else "is missing"
        raise InvalidImage(f"{name} {how}: send it as a part with a filename", field=name)
    return await file.read()
