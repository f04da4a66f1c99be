"""What was drawn, in OpenAI's shapes."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from service.gateway.admission import AcceptedJob
from service.gateway.rest.event_stream import ServerEvent
from service.gateway.rest.schemas import (
    CompletedEvent,
    ImageData,
    ImagesAnswer,
    InputTokensDetails,
    PartialImageEvent,
    Usage,
)
from service.gateway.use_cases import FinishedImage, Preview


def images_answer(
    accepted: AcceptedJob, images: Sequence[FinishedImage], *, url_base: str | None
) -> ImagesAnswer:
    """The JSON answer; with `url_base` it carries links in place of the pictures."""
    job, request = accepted.job, accepted.job.request
    return ImagesAnswer(
        created=int(job.created_at),
        data=[_image_data(accepted, image, url_base=url_base) for image in images],
        output_format=request.picture_format,
        size=_size(images[0].picture.side),
        usage=_usage(accepted, [image.bands_completed for image in images]),
        model=accepted.card.id,
        job=job.id,
        seed=request.seed,
        bands=accepted.card.num_bands,
        keep_bands=request.keep_bands,
    )


def shed_headers(images: Sequence[FinishedImage]) -> dict[str, str]:
    """What tells who reads no body that some image has fewer bands for want of capacity."""
    return {"x-nfig-shed": "true"} if any(image.shed for image in images) else {}


def stream_event(accepted: AcceptedJob, item: Preview | FinishedImage) -> ServerEvent:
    """One event of the stream."""
    job, request = accepted.job, accepted.job.request
    shared: dict[str, Any] = {
        "b64_json": _base64(item.content),
        "created_at": int(item.at),
        "size": _size(item.picture.side),
        "output_format": item.picture.format,
        "image_index": item.image_index,
        "seed": request.seed,
        "bands": accepted.card.num_bands,
        "elapsed_ms": _milliseconds(max(0.0, item.at - job.created_at)),
        "job": job.id,
    }
    event: PartialImageEvent | CompletedEvent
    if isinstance(item, Preview):
        event = PartialImageEvent(
            **shared,
            band=item.band,
            partial_image_index=item.preview_index,
            band_latency_ms=_milliseconds(item.band_seconds),
            speedup=None if item.speedup is None else dict(item.speedup),
        )
    else:
        event = CompletedEvent(
            **shared,
            band=item.bands_completed - 1,
            usage=_usage(accepted, [item.bands_completed]),
            model=accepted.card.id,
            bands_completed=item.bands_completed,
            shed=item.shed,
            band_latencies_ms=_latencies(item),
            timing_ms=_timing_ms(item),
            digest=item.picture.digest,
        )
    return ServerEvent(name=event.type, data=event.model_dump())


def _image_data(accepted: AcceptedJob, image: FinishedImage, *, url_base: str | None) -> ImageData:
    path = f"v1/jobs/{accepted.job.id}/images/{image.image_index}"
    return ImageData(
        b64_json=_base64(image.content) if url_base is None else None,
        url=None if url_base is None else url_base + path,
        image_index=image.image_index,
        seed=accepted.job.request.seed,
        bands_completed=image.bands_completed,
        shed=image.shed,
        band_latencies_ms=_latencies(image),
        timing_ms=_timing_ms(image),
        digest=image.picture.digest,
    )


def _usage(accepted: AcceptedJob, bands_completed: Sequence[int]) -> Usage:
    sides = accepted.card.grid_sides
    num_kept = accepted.job.request.keep_bands or 0
    kept = sum(side * side for side in sides[:num_kept])
    drawn = sum(side * side for bands in bands_completed for side in sides[num_kept:bands])
    return Usage(
        input_tokens=1 + kept,
        input_tokens_details=InputTokensDetails(text_tokens=1, image_tokens=kept),
        output_tokens=drawn,
        total_tokens=1 + kept + drawn,
    )


def _latencies(image: FinishedImage) -> list[float]:
    return [_milliseconds(seconds) for seconds in image.band_seconds]


def _timing_ms(image: FinishedImage) -> dict[str, float] | None:
    if image.timing is None:
        return None
    return {name: _milliseconds(seconds) for name, seconds in image.timing.items()}


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _size(side: int) -> str:
    return f"{side}x{side}"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
