"""Domain objects to JSON and back; what is read is checked, and never executed."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from pydantic import TypeAdapter

from service.domain import EVENT_NAMES, Event, GenerationRequest, JobStarted, ModelCard
from service.jobs.queue import WorkerStatus

_BY_NAME = {name: kind for kind, name in EVENT_NAMES.items()}


def encode(value: GenerationRequest | ModelCard | WorkerStatus) -> str:
    return json.dumps(dataclasses.asdict(value), separators=(",", ":"))


def decode_request(text: str | bytes) -> GenerationRequest:
    return TypeAdapter(GenerationRequest).validate_json(text)


def decode_card(text: str | bytes) -> ModelCard:
    return TypeAdapter(ModelCard).validate_json(text)


def decode_worker(text: str | bytes) -> WorkerStatus:
    return TypeAdapter(WorkerStatus).validate_json(text)


def encode_event(event: Event) -> str:
    fields = {"event": EVENT_NAMES[type(event)], **dataclasses.asdict(event)}
    return json.dumps(fields, separators=(",", ":"))


def decode_event(text: str | bytes) -> Event:
    fields: dict[str, Any] = json.loads(text)
    kind = _BY_NAME[fields.pop("event")]
    event: Event = TypeAdapter(kind).validate_python(fields)
    return event


def started_template() -> str:
    """`job.started` as text with %d where the attempt goes, which only the script knows."""
    return encode_event(JobStarted(attempt=-1)).replace("-1", "%d")
