"""What the service speaks of: jobs, their pictures, models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nfig_client.reading import member, record

PictureFormat = Literal["png", "jpeg", "webp"]
JobState = Literal["queued", "running", "completed", "failed", "cancelled"]
ENDED: frozenset[JobState] = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Where a picture is; `download` fetches it."""

    digest: str
    """SHA-256 of its bytes."""
    num_bytes: int
    format: PictureFormat
    side: int
    """Pixels per edge."""
    url: str


@dataclass(frozen=True, kw_only=True)
class JobImage:
    """How far one image of a job has come."""

    image_index: int
    bands_completed: int
    picture: Picture | None
    """None until it is complete."""
    shed: bool = False
    """It is complete without some of its bands because demand exceeded capacity."""


@dataclass(frozen=True, kw_only=True)
class JobError:
    """Why a job failed."""

    code: str
    detail: str
    retryable: bool


@dataclass(frozen=True, kw_only=True)
class JobUrls:
    """Where a job is looked at, watched and cancelled."""

    self: str
    events: str
    cancel: str


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job at one moment."""

    id: str
    state: JobState
    created_at: float
    """Unix seconds on the service's clock."""
    position: int | None
    """Jobs that wait ahead of it; None unless it is queued."""
    model: str
    class_label: int
    num_images: int
    seed: int
    bands: int
    images: tuple[JobImage, ...]
    error: JobError | None
    urls: JobUrls
    estimated_start_ms: float | None = None
    """Milliseconds from that moment; None where nobody can say, and once it has begun."""
    estimated_end_ms: float | None = None

    @property
    def ended(self) -> bool:
        return self.state in ENDED


@dataclass(frozen=True, kw_only=True)
class Image:
    """A complete image."""

    image_index: int
    seed: int
    """With the image's index the whole of its chance: both draw it again."""
    bands_completed: int
    format: PictureFormat
    digest: str
    """SHA-256 of `content`."""
    content: bytes
    shed: bool = False
    """Bands were left out because demand exceeded capacity."""

    def save(self, path: str | Path) -> None:
        """Writes the file as it is; its format is not looked up from the name."""
        Path(path).write_bytes(self.content)


@dataclass(frozen=True, kw_only=True)
class Generated:
    """What became of a job that was completed."""

    job: Job
    images: tuple[Image, ...]


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model that the service draws with."""

    id: str
    digest: str
    engine: Literal["ready", "not_ready", "absent"]
    image_size: str
    """Such as `64x64`."""
    bands: int
    grid_sides: tuple[int, ...]
    """Tokens per edge of each band."""
    num_classes: int
    defaults: Mapping[str, float]
    """Of the sampling."""
    class_names: tuple[str, ...] = ()
    """By class label; a list of models leaves them out."""


def read_job(data: Any) -> Job:
    """Raises ProtocolError."""
    error = member(data, "error")
    return record(
        Job,
        data,
        images=tuple(_image(image) for image in member(data, "images")),
        error=None if error is None else record(JobError, error),
        urls=record(JobUrls, member(data, "urls")),
    )


def read_picture(data: Any) -> Picture:
    """Raises ProtocolError."""
    return record(Picture, data)


def read_model(data: Any) -> Model:
    """Raises ProtocolError."""
    return record(
        Model,
        data,
        grid_sides=tuple(member(data, "grid_sides")),
        class_names=tuple(data.get("class_names", ())),
    )


def _image(data: Any) -> JobImage:
    complete = member(data, "digest") is not None
    return record(JobImage, data, picture=read_picture(data) if complete else None)
