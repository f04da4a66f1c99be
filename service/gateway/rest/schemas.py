"""The wire shapes of the REST door. Requests are strict: no unknown field, no coercion.

Types only; ranges depend on the model and are checked where every front door meets
(`service.gateway.drafts`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.domain import BrownoutConsent, PictureFormat, Priority
from service.gateway.cards import EngineState
from service.gateway.rest.ranges import with_ranges


class ImageOptions(BaseModel):
    """What may be said wherever images are drawn: OpenAI's fields first, ours after `user`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    model: str | None = Field(
        None, max_length=256, description="Absent: the first model that can draw."
    )
    n: int | None = Field(None, description="Images, at most NFIG_MAX_IMAGES. Default 1.")
    size: str | None = Field(
        None, max_length=16, description="`auto` or the model's own size, like `64x64`."
    )
    response_format: Literal["b64_json", "url"] | None = Field(
        None, description="Default b64_json."
    )
    output_format: PictureFormat | None = Field(None, description="Default png.")
    output_compression: int | None = Field(
        None, description="0 to 100, for jpeg and webp: the encoder's quality. Default 100."
    )
    stream: bool | None = Field(None, description="Server-sent events instead of one answer.")
    partial_images: int | None = Field(
        None, description="Previews per image, 0 to bands - 1; needs `stream`. Default 0."
    )
    user: str | None = Field(
        None, max_length=256, description="Your own id for your user; written to the log."
    )

    class_label: Annotated[int, Field()] | Annotated[str, Field(max_length=256)] | None = Field(
        None, description="A class id or class name."
    )
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


class ImageGenerationBody(ImageOptions):
    """`POST /v1/images/generations`."""

    model_config = ConfigDict(
        json_schema_extra=with_ranges({"prompt": "cat", "seed": 7, "bands": 4})
    )

    prompt: str | None = Field(
        None, max_length=256, description="A class id or class name; another name of `class_label`."
    )


class ImageVariationForm(ImageOptions):
    """`POST /v1/images/variations` but for `image`. A form has texts alone, so they are read."""

    model_config = ConfigDict(strict=False, json_schema_extra=with_ranges())

    keep_bands: int | None = Field(
        None,
        description="How many of the first bands are the image's own, 0 to bands. Default: half of "
        "the model's bands, rounded down.",
    )


class InputTokensDetails(BaseModel):
    text_tokens: int
    image_tokens: int


class Usage(BaseModel):
    """The class label is one input token, the bands kept of an image are the others; the output
    tokens are those of the bands drawn."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    total_tokens: int


class ImageData(BaseModel):
    """One image of the answer."""

    b64_json: str | None = None
    url: str | None = None
    image_index: int
    seed: int
    bands_completed: int
    shed: bool
    """Bands were left out because demand exceeded capacity."""
    band_latencies_ms: list[float]
    timing_ms: dict[str, float] | None = None
    """Where the time went: queue, batch_wait, bands, decode, encode; and total."""
    digest: str


class ImagesAnswer(BaseModel):
    """OpenAI's answer, then what we add to it."""

    created: int
    background: Literal["opaque"] = "opaque"
    data: list[ImageData]
    output_format: PictureFormat
    size: str
    usage: Usage
    model: str
    job: str
    seed: int
    bands: int
    keep_bands: int | None = None
    """Of a variation."""


class StreamEvent(BaseModel):
    """What both events of the stream carry."""

    b64_json: str
    created_at: int
    size: str
    quality: Literal["auto"] = "auto"
    background: Literal["opaque"] = "opaque"
    output_format: PictureFormat
    image_index: int
    seed: int
    band: int
    bands: int
    elapsed_ms: float
    job: str


class PartialImageEvent(StreamEvent):
    type: Literal["image_generation.partial_image"] = "image_generation.partial_image"
    partial_image_index: int
    band_latency_ms: float
    speedup: dict[str, float] | None = None
    """How many times as long each baseline takes for this band; null where none was measured."""


class CompletedEvent(StreamEvent):
    type: Literal["image_generation.completed"] = "image_generation.completed"
    usage: Usage
    model: str
    bands_completed: int
    shed: bool
    band_latencies_ms: list[float]
    timing_ms: dict[str, float] | None = None
    digest: str


class Defaults(BaseModel):
    """What a request that does not say gets."""

    guidance_scale: float
    top_k: int
    top_p: float
    temperature: float


class ModelSummary(BaseModel):
    """A model as OpenAI lists it, then what we add to it."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: Literal["nfig"] = "nfig"
    digest: str
    engine: EngineState
    image_size: str
    bands: int
    grid_sides: list[int]
    num_classes: int
    defaults: Defaults


class ModelDetails(ModelSummary):
    class_names: list[str]


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelSummary]
