"""Requests off the wire: nothing larger than the limit, nothing that is not known here."""

from __future__ import annotations

from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from service.errors import BodyTooLarge, InvalidRequest


def parse(kind: type[Message], raw: bytes, *, max_bytes: int) -> Message:
    """Raises InvalidRequest, BodyTooLarge."""
    if len(raw) > max_bytes:
        raise BodyTooLarge(f"the request is over {max_bytes} bytes", field="request")
    try:
        message = kind.FromString(raw)
    except DecodeError:
        raise InvalidRequest("the request is not a valid message", field="request") from None
    _refuse_unknown(message, path="")
    return message


def _refuse_unknown(message: Message, *, path: str) -> None:
    for unknown in UnknownFieldSet(message):
        name = f"{path}{unknown.field_number}"
        raise InvalidRequest(f"field {name} is not a supported field", field=name)
    for descriptor, value in message.ListFields():
        # Requests have no lists of messages.
        if isinstance(value, Message):
            _refuse_unknown(value, path=f"{path}{descriptor.name}.")
