"""What happens to a job, in order: the events that a watcher sees."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nfig_client.errors import ProtocolError
from nfig_client.reading import member, record
from nfig_client.records import Picture, read_picture
from nfig_client.sse import ServerEvent


@dataclass(frozen=True, kw_only=True)
class Event:
    """What every event says."""

    id: str
    """A watcher that names it goes on after it."""
    job: str
    elapsed_ms: float
    """Since the job was accepted."""


@dataclass(frozen=True, kw_only=True)
class JobQueued(Event):
    """The job was accepted."""


@dataclass(frozen=True, kw_only=True)
class JobStarted(Event):
    """A worker draws it."""

    attempt: int
    """Above 1 where another worker had it before; no band is repeated."""


@dataclass(frozen=True, kw_only=True)
class BandCompleted(Event):
    """One band of one image was drawn."""

    image_index: int
    band: int
    token_digest: str
    seconds: float
    """Its step alone, where it ran."""
    batch_size: int
    preview: Picture | None
    """The whole image with the bands so far. Not every band was asked for, and under load some
    are dropped."""
    speedup: Mapping[str, float] | None = None
    """How many times as long each baseline takes for this band, by its name (`as_published`,
    `same_code`); None where the engine's host has measured none."""


@dataclass(frozen=True, kw_only=True)
class ImageCompleted(Event):
    """One image is there."""

    image_index: int
    bands_completed: int
    picture: Picture
    shed: bool = False
    """Bands were left out because demand exceeded capacity."""
    timing: Mapping[str, float] | None = None
    """Where the seconds since acceptance went: `queue`, `batch_wait`, `bands`, `decode`, `encode`;
    and `total`."""


@dataclass(frozen=True, kw_only=True)
class TerminalEvent(Event):
    """The last one; nothing follows it."""


@dataclass(frozen=True, kw_only=True)
class JobCompleted(TerminalEvent):
    """All images are there."""


@dataclass(frozen=True, kw_only=True)
class JobCancelled(TerminalEvent):
    """Ended by its owner."""


@dataclass(frozen=True, kw_only=True)
class JobFailed(TerminalEvent):
    """Ended by an error; `code` is one of the service's."""

    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class OtherEvent(Event):
    """One that a newer service sends and this client does not know."""

    name: str
    data: Mapping[str, Any]


def _band(data: Any, identifier: str) -> BandCompleted:
    preview = member(data, "preview")
    shown = None if preview is None else read_picture(preview)
    return record(BandCompleted, data, id=identifier, preview=shown)


def _image(data: Any, identifier: str) -> ImageCompleted:
    picture = read_picture(member(data, "picture"))
    return record(ImageCompleted, data, id=identifier, picture=picture)


def _plain(kind: type[Event]) -> Callable[[Any, str], Event]:
    return lambda data, identifier: record(kind, data, id=identifier)


_READERS: dict[str, Callable[[Any, str], Event]] = {
    "job.queued": _plain(JobQueued),
    "job.started": _plain(JobStarted),
    "band.completed": _band,
    "image.completed": _image,
    "job.completed": _plain(JobCompleted),
    "job.cancelled": _plain(JobCancelled),
    "job.failed": _plain(JobFailed),
}


def read_event(sent: ServerEvent) -> Event:
    """Raises ProtocolError."""
    data = read_data(sent)
    identifier = sent.id or ""
    if sent.name in _READERS:
        return _READERS[sent.name](data, identifier)
    other = {"job": "", "elapsed_ms": 0.0, **data, "name": sent.name, "data": data}
    return record(OtherEvent, other, id=identifier)


def read_data(sent: ServerEvent) -> Mapping[str, Any]:
    """Raises ProtocolError."""
    try:
        data = json.loads(sent.data)
    except ValueError:
        raise ProtocolError(f"the service sent an event {sent.name} without JSON") from None
    if not isinstance(data, Mapping):
        raise ProtocolError(f"the service sent an event {sent.name} that is no object")
    return data
