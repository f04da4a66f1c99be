"""What happened in a run, as its clients saw it: one record per line of a JSON lines file.

Times are Unix seconds of the machine that all parts ran on, so that they can be compared with the
milliseconds in events' ids.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

BAND = "band.completed"
IMAGE = "image.completed"
AUDIT = "audit"
"""The watcher that reads every log at the end, when all faults are over."""
TERMINAL = frozenset({"job.completed", "job.failed", "job.cancelled"})
Door = Literal["http", "grpc"]
Call = Literal["native", "attached", "cancel"]
End = Literal["images", "error", "broken", "left", "short"]
Source = Literal["answer", "stream", "audit"]


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A call was made; it has an Answered or an Unanswered of the same number."""

    op: int
    at: float
    door: Door
    call: Call
    request: int | None = None
    """The same for calls that repeat one request; the job that comes of it bears this number."""
    shape: str | None = None
    """What is to be drawn."""
    keep: int | None = None
    """Of a variation: how many bands are the uploaded image's; all are of the same image."""
    deadline_ms: int | None = None
    brownout: Literal["allow", "never"] = "never"
    key: str | None = None
    """Its idempotency key; the same call sent again has the same."""
    job: str | None = None
    """Of a cancellation: what is cancelled."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    op: int
    at: float
    status: int
    code: str | None = None
    """Of an error."""
    job: str | None = None
    has_retry_after: bool = False
    bands_completed: list[int] | None = None
    """By image, where the answer has the images."""


@dataclass(frozen=True, kw_only=True)
class Unanswered:
    """The call's connection broke, or its answer says that nobody knows: anything may have come of
    it."""

    op: int
    at: float
    error: str


@dataclass(frozen=True, kw_only=True)
class Left:
    """The caller of an attached job hung up on purpose, and nobody else watches the job."""

    at: float
    job: str


@dataclass(frozen=True, kw_only=True)
class Stalled:
    """The caller of an attached stream stopped reading from its connection for so long."""

    at: float
    job: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A stream that had been answered came to its end."""

    op: int
    at: float
    how: End
    """All images came, or it said why not; its connection broke, or its caller hung up. `short`:
    it ended in order and was none of these."""


@dataclass(frozen=True, kw_only=True)
class GaveUp:
    """A watcher waited for a job's end in vain."""

    watcher: str
    job: str
    at: float


@dataclass(frozen=True, kw_only=True)
class Pictured:
    """The bytes of an image, as somebody was given them."""

    source: Source
    """The audit fetches every image of every stored job at the end."""
    job: str
    image: int
    digest: str
    """SHA-256 of the bytes that came."""
    bands_completed: int | None = None
    """As it was said with them."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A watcher, who asked for all events of a job from the first, was shown one."""

    watcher: str
    job: str
    id: str
    name: str
    data: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A job that is in the queue's store at the end."""

    job: str
    state: str
    shape: str
    request: int
    """Which call's it is, by what the job says of itself."""


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """A band that a request consists of, as drawn before the first fault."""

    shape: str
    image: int
    band: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something was done to a part, and made good; `recovered` is when the service drew again."""

    at: float
    kind: str
    target: str
    over: float
    recovered: float


Record = (
    Sent
    | Answered
    | Unanswered
    | Left
    | Stalled
    | Ended
    | GaveUp
    | Pictured
    | Seen
    | Stored
    | Undisturbed
    | Fault
)
Kind = TypeVar("Kind")
_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Record)}


class History:
    """All records of a run, in the order in which they were made, and the views that laws take."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.records = list(records)

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [record for record in self.records if isinstance(record, kind)]

    @cached_property
    def views(self) -> Mapping[tuple[str, str], Sequence[Seen]]:
        """By watcher and job: what was shown, in the order in which it was."""
        found: defaultdict[tuple[str, str], list[Seen]] = defaultdict(list)
        for seen in self.of(Seen):
            found[seen.watcher, seen.job].append(seen)
        return found

    @cached_property
    def logs(self) -> Mapping[str, Sequence[Seen]]:
        """By job that is stored: its whole log."""
        return {each.job: self.views.get((AUDIT, each.job), ()) for each in self.of(Stored)}

    @cached_property
    def requests(self) -> Mapping[int, Sequence[Sent]]:
        """By request: the calls for it."""
        found: defaultdict[int, list[Sent]] = defaultdict(list)
        for sent in self.of(Sent):
            if sent.request is not None:
                found[sent.request].append(sent)
        return found

    @cached_property
    def answers(self) -> Mapping[int, Sequence[Answered | Unanswered]]:
        found: defaultdict[int, list[Answered | Unanswered]] = defaultdict(list)
        for record in self.records:
            if isinstance(record, Answered | Unanswered):
                found[record.op].append(record)
        return found


def bands_of(view: Sequence[Seen]) -> dict[int, list[int]]:
    """By image: its bands in the order of the view."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    for seen in view:
        if seen.name == BAND:
            found[seen.data["image_index"]].append(seen.data["band"])
    return found


def ends_of(log: Sequence[Seen]) -> dict[int, int]:
    """By image that is complete: the bands that it says it has."""
    return {s.data["image_index"]: s.data["bands_completed"] for s in log if s.name == IMAGE}


def write(records: Iterable[Record], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps({"record": type(record).__name__, **asdict(record)}) + "\n")


def read(path: Path) -> History:
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return History(_KINDS[line.pop("record")](**line) for line in lines)
