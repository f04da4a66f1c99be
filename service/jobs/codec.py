"""Domain objects to JSON and back; what is read is checked strictly, and never executed.

Decoding raises ValueError that names the field: one missing, unknown or of another type.
"""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter

from service.domain import EVENT_NAMES, Event, GenerationRequest, JobStarted, ModelCard
from service.jobs.queue import WorkerStatus

Kind = TypeVar("Kind")
_BY_NAME = {name: kind for kind, name in EVENT_NAMES.items()}


def encode(value: GenerationRequest | ModelCard | WorkerStatus) -> str:
    return _dump(dataclasses.asdict(value))


def decode_request(text: str | bytes) -> GenerationRequest:
    return _load(GenerationRequest, text)


def decode_card(text: str | bytes) -> ModelCard:
    return _load(ModelCard, text)


def decode_worker(text: str | bytes) -> WorkerStatus:
    return _load(WorkerStatus, text)


def encode_event(event: Event) -> str:
    return _dump({"event": EVENT_NAMES[type(event)], **dataclasses.asdict(event)})


def decode_event(text: str | bytes) -> Event:
    fields = json.loads(text)
    name = fields.pop("event", None) if isinstance(fields, dict) else None
    if not isinstance(name, str) or name not in _BY_NAME:
        raise ValueError("event is not one that is known here")
    # Through text again: only as JSON can nested objects and lists be read strictly.
    event: Event = _load(_BY_NAME[name], _dump(fields))
    return event


def started_template() -> str:
    """`job.started` as text with %d where the attempt goes, which only the script knows."""
    return encode_event(JobStarted(attempt=-1)).replace("-1", "%d")


def _dump(fields: dict[str, Any]) -> str:
    return json.dumps(fields, separators=(",", ":"))


def _load(kind: type[Kind], text: str | bytes) -> Kind:
    key: Any = kind
    loaded: Kind = _adapter(key).validate_json(text, strict=True, extra="forbid")
    return loaded


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    # Building one takes a hundred times as long as using it.
    return TypeAdapter(kind)
