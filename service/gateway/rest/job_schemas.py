"""The wire shapes of native jobs; `schemas.py` says how requests are read."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from service.domain import BrownoutConsent, JobState, PictureFormat, Priority
from service.gateway.rest.ranges import with_ranges


class JobBody(BaseModel):
    """`POST /v1/jobs`: a request in our own words."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        json_schema_extra=with_ranges({"class_label": "cat", "seed": 7, "previews": 3}),
    )

    class_label: Annotated[int, Field()] | Annotated[str, Field(max_length=256)] = Field(
        description="A class id or class name."
    )
    model: str | None = Field(
        None, max_length=256, description="Absent: the first model that can draw."
    )
    num_images: int | None = Field(None, description="Images, at most NFIG_MAX_IMAGES. Default 1.")
    seed: int | None = Field(
        None, description="0 to 2^63 - 1; drawn if absent. Image i is drawn from (seed, i)."
    )
    guidance_scale: float | None = Field(None, description="0 to 100. Default: the model's.")
    top_k: int | None = Field(None, description="0 keeps all codes. Default: the model's.")
    top_p: float | None = Field(None, description="Above 0, at most 1. Default: the model's.")
    temperature: float | None = Field(
        None, description="Above 0, at most 100. Default: the model's."
    )
    bands: int | None = Field(
        None, description="Stop after this many bands; the image is whole, only blurrier."
    )
    previews: int | None = Field(None, description="Previews per image, 0 to bands - 1. Default 0.")
    picture_format: PictureFormat | None = Field(None, description="Default png.")
    picture_quality: int | None = Field(
        None, description="0 to 100, for jpeg and webp: the encoder's quality. Default 100."
    )
    deadline_ms: int | None = Field(
        None,
        description="Milliseconds from now: the image has the bands that fit. At most a day.",
    )
    start_within_ms: int | None = Field(
        None, description="Milliseconds from now within which drawing must begin."
    )
    brownout: BrownoutConsent | None = Field(
        None,
        description="Whether fewer bands will do when demand exceeds capacity. Default allow.",
    )
    priority: Priority | None = Field(
        None, description="Who goes first where jobs wait. Default normal."
    )


class JobImage(BaseModel):
    """How far one image has come; the last five are null until it is complete."""

    image_index: int
    bands_completed: int
    shed: bool
    """It is complete with fewer bands than were asked for, because demand exceeded capacity."""
    digest: str | None = None
    url: str | None = None
    format: PictureFormat | None = None
    side: int | None = None
    num_bytes: int | None = None


class JobError(BaseModel):
    """Why a job failed, from the catalogue; problem details without a request."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retryable: bool


class JobUrls(BaseModel):
    """Everything that can be asked of the job."""

    self: str
    events: str
    cancel: str
    images: list[str]
    """One per image, in order; each is there once its image is complete."""


class JobAnswer(BaseModel):
    """A job as every route shows it."""

    id: str
    state: JobState
    created_at: float
    position: int | None
    """Jobs of the model that wait ahead; 100 stands for 100 or more, null for one not waiting."""
    estimated_start_ms: float | None
    """Milliseconds from now, by what was measured of late; null where that is too little, and once
    it has started."""
    estimated_end_ms: float | None
    """The same of its end."""
    model: str
    class_label: int
    num_images: int
    seed: int
    bands: int
    keep_bands: int | None
    """Of a variation: how many of the first bands are those of the uploaded image."""
    deadline_ms: int | None
    start_within_ms: int | None
    priority: Priority
    brownout: BrownoutConsent
    images: list[JobImage]
    error: JobError | None
    urls: JobUrls
