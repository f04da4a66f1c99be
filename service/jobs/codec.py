"""Domain objects to JSON and back; what is read is checked strictly, and never executed.

Decoding raises ValueError that names the field: one missing, unknown or of another type.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter
from pydantic_core import to_json

from service.domain import EVENT_NAMES, Event, GenerationRequest, JobStarted, ModelCard
from service.jobs.queue import WorkerStatus

Kind = TypeVar("Kind")
_BY_NAME = {name: kind for kind, name in EVENT_NAMES.items()}
_NAME_FIRST = re.compile(rb'\{"event":"([a-z.]+)"(?:,(?=")|(?=\}))')


def encode(value: GenerationRequest | ModelCard | WorkerStatus) -> str:
    return _dump(value)


def decode_request(text: str | bytes) -> GenerationRequest:
    return _load(GenerationRequest, text)


def decode_card(text: str | bytes) -> ModelCard:
    return _load(ModelCard, text)


def decode_worker(text: str | bytes) -> WorkerStatus:
    return _load(WorkerStatus, text)


def encode_event(event: Event) -> str:
    return _dump({"event": EVENT_NAMES[type(event)], **vars(event)})


def decode_event(text: str | bytes) -> Event:
    name, fields = _told_apart(text.encode() if isinstance(text, str) else text)
    if name not in _BY_NAME:
        raise ValueError("event is not one that is known here")
    event: Event = _load(_BY_NAME[name], fields)
    return event


def _told_apart(text: bytes) -> tuple[str, bytes]:
    """The name of an event and the JSON of its fields."""
    if match := _NAME_FIRST.match(text):  # as we write it, without reading it twice
        return match[1].decode(), b"{" + text[match.end() :]
    fields = json.loads(text)
    name = fields.pop("event", None) if isinstance(fields, dict) else None
    # Through text again: only as JSON can nested objects and lists be read strictly.
    return str(name), _dump(fields).encode()


def started_template() -> str:
    """`job.started` as text with %d where the attempt goes, which only the script knows."""
    return encode_event(JobStarted(attempt=-1)).replace("-1", "%d")


def _dump(fields: object) -> str:
    # Dataclasses within give their fields; `json` would have to ask us for each.
    return to_json(fields).decode()


def _load(kind: type[Kind], text: str | bytes) -> Kind:
    key: Any = kind
    loaded: Kind = _validator(key).validate_json(text, strict=True, extra="forbid")
    return loaded


@cache
def _validator(kind: Any) -> Any:
    # Building one takes a hundred times as long as using it, and asking the adapter around it
    # instead three times as long.
    return TypeAdapter(kind).validator
