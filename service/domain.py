"""The nouns of the service. Everything else is verbs on these.

Frozen dataclasses with no framework imports, so that every part of the service, and every store
that a job passes through, can speak of the same things.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

PictureFormat = Literal["png", "jpeg", "webp"]
BrownoutConsent = Literal["allow", "never"]
"""Whether fewer bands will do when demand exceeds capacity."""

Priority = Literal["high", "normal", "low"]
PRIORITIES: tuple[Priority, ...] = ("high", "normal", "low")
"""Best first."""

ANONYMOUS = "anonymous"
"""The tenant of every caller where no keys are asked for."""


class JobState(StrEnum):
    QUEUED = "queued"
    """Accepted and waiting for a worker."""
    RUNNING = "running"
    """Held by a worker's lease."""
    COMPLETED = "completed"
    """Every image was drawn."""
    FAILED = "failed"
    """Ended by an error of the service."""
    CANCELLED = "cancelled"
    """Ended by its owner."""


TERMINAL_STATES = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})

TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.FAILED, JobState.CANCELLED}),
    # Running to running is a takeover, running to queued a hand-back, or a lapsed lease that was
    # found by a worker with another engine.
    JobState.RUNNING: frozenset({JobState.RUNNING, JobState.QUEUED}) | TERMINAL_STATES,
    **{state: frozenset() for state in TERMINAL_STATES},
}


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """All that the service knows of a model: written by export, registered by workers."""

    id: str
    digest: str
    """SHA-256 of the checkpoint."""
    image_size: int
    """Pixels per edge."""
    grid_sides: tuple[int, ...]
    """Tokens per edge of each band's grid, low frequency first."""
    latent_channels: int
    codebook_size: int
    class_names: tuple[str, ...]
    """One name per class label."""
    guidance_scale: float
    """Defaults for requests that do not say."""
    top_k: int
    top_p: float
    temperature: float
    batch_sizes: tuple[int, ...] = (1, 2, 3, 4, 6, 8, 10, 12, 16)
    """The padded batch sizes that engines run."""

    @property
    def num_bands(self) -> int:
        return len(self.grid_sides)

    @property
    def latent_side(self) -> int:
        return self.grid_sides[-1]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are drawn from logits."""

    guidance_scale: float
    top_k: int
    """0 keeps all codes."""
    top_p: float
    temperature: float


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """One request for 1..num_images generations, checked and complete: no field has a default."""

    model: str
    class_label: int
    num_images: int
    seed: int
    """Image i is drawn from (seed, i)."""
    sampling: Sampling
    bands: int
    """Bands to draw; fewer than the model's stops early with a blurrier image."""
    keep_bands: int | None
    """How many of the first bands are those of the image that was uploaded with the request; None
    where there was none."""
    previews: tuple[int, ...]
    """Bands, before the last, whose pixels the client wants to see."""
    picture_format: PictureFormat
    picture_quality: int
    """1 to 100, for jpeg and webp."""
    deadline_ms: int | None
    """Milliseconds from acceptance to the images, which have the bands that fit; None: no hurry."""
    start_within_ms: int | None
    """Milliseconds from acceptance to the first lease, without which the job fails."""
    priority: Priority
    """Who goes first where jobs wait; see `QueueLimits.head_start_seconds`."""
    brownout: BrownoutConsent

    def bands_within(self, max_bands: int | None) -> int:
        """Bands to draw where nobody shall have more than `max_bands`; None: no such limit."""
        if max_bands is None or self.brownout == "never":
            return self.bands
        return min(self.bands, max(max_bands, self.keep_bands or 1))


@dataclass(frozen=True, kw_only=True)
class Job:
    """An accepted request as it lives in the queue."""

    id: str
    request: GenerationRequest
    state: JobState
    created_at: float
    """Unix seconds on the queue's clock."""
    attempts: int = 0
    """How many leases it has had."""
    tenant: str = ANONYMOUS
    """Whose job it is."""
    attached: bool = False
    """It ends when nobody waits for it any more; false once it has ended."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture's description; its bytes live in the queue's picture store under the digest."""

    digest: str
    """SHA-256 of the encoded bytes."""
    num_bytes: int
    format: PictureFormat
    side: int
    """Pixels per edge."""


TIMINGS = ("queue", "batch_wait", "bands", "decode", "encode", "total")
"""The parts of an image's time, in the order in which they pass: until the lease, until the image's
batch began, in bands, from canvas to pixels, from pixels to a file; and acceptance to the end, in
which there are also previews and what lies between."""


@dataclass(frozen=True, kw_only=True)
class JobQueued:
    """The job was accepted."""


@dataclass(frozen=True, kw_only=True)
class JobStarted:
    """A worker leased the job."""

    attempt: int


@dataclass(frozen=True, kw_only=True)
class BandCompleted:
    """One band of one image was drawn. The preview is optional and may be dropped under load."""

    image_index: int
    band: int
    token_digest: str
    """SHA-256 of the band's tokens as little-endian int32."""
    seconds: float
    """Time of the band's step where it ran, pixels excluded."""
    batch_size: int
    """Rows of the executed batch, padding included."""
    preview: Picture | None
    kept: bool = False
    """The band is that of an uploaded image and was not drawn."""
    speedup: Mapping[str, float] | None = None
    """How many times as long each baseline takes for this band and batch size, by the baseline's
    name; None where none has been measured on the engine's host, and of a kept band."""


@dataclass(frozen=True, kw_only=True)
class ImageCompleted:
    """One image is ready."""

    image_index: int
    picture: Picture
    bands_completed: int
    shed: bool = False
    """Bands were left out because demand exceeded capacity."""
    timing: Mapping[str, float] | None = field(default=None, compare=False)
    """Where the seconds from acceptance to this event went, by TIMINGS; it makes no other image."""


@dataclass(frozen=True, kw_only=True)
class JobCompleted:
    """All images are ready."""


@dataclass(frozen=True, kw_only=True)
class JobFailed:
    """The job ended by an error; `code` is one of the catalogue in `errors.py`."""

    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class JobCancelled:
    """The job was ended by its owner."""


Event = (
    JobQueued
    | JobStarted
    | BandCompleted
    | ImageCompleted
    | JobCompleted
    | JobFailed
    | JobCancelled
)
TerminalEvent = JobCompleted | JobFailed | JobCancelled

EVENT_NAMES: dict[type[Event], str] = {
    JobQueued: "job.queued",
    JobStarted: "job.started",
    BandCompleted: "band.completed",
    ImageCompleted: "image.completed",
    JobCompleted: "job.completed",
    JobFailed: "job.failed",
    JobCancelled: "job.cancelled",
}


@dataclass(frozen=True, kw_only=True)
class LoggedEvent:
    """An event as a watcher sees it."""

    id: str
    """Rises strictly within a job; what `Last-Event-ID` names."""
    at: float
    """Unix seconds on the queue's clock."""
    event: Event


def is_terminal(event: Event) -> bool:
    return isinstance(event, JobCompleted | JobFailed | JobCancelled)
