"""What attached calls are answered: accepted jobs, bands and images as messages."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.timestamp_pb2 import Timestamp

from nfig_proto.v1 import image_generation_pb2 as pb
from service.domain import Job, ModelCard, Picture
from service.gateway.admission import AcceptedJob
from service.gateway.cards import EngineState
from service.gateway.rpc.specs import PICTURE_FORMATS
from service.gateway.use_cases import FinishedImage, Preview, UnseenBand

_FORMATS = {name: number for number, name in PICTURE_FORMATS.items()}
_ENGINES: dict[EngineState, pb.EngineState] = {
    "ready": pb.ENGINE_STATE_READY,
    "not_ready": pb.ENGINE_STATE_NOT_READY,
    "absent": pb.ENGINE_STATE_ABSENT,
}


def picture_message(picture: Picture, content: bytes = b"") -> pb.Picture:
    return pb.Picture(
        digest=picture.digest,
        num_bytes=picture.num_bytes,
        format=_FORMATS[picture.format],
        side=picture.side,
        content=content,
    )


def accepted_message(accepted: AcceptedJob) -> pb.AcceptedJob:
    job, request = accepted.job, accepted.job.request
    return pb.AcceptedJob(
        id=job.id,
        created_at=timestamp(job.created_at),
        model=request.model,
        class_label=request.class_label,
        seed=request.seed,
        bands=request.bands,
    )


def stream_message(
    job: Job, item: AcceptedJob | Preview | UnseenBand | FinishedImage
) -> pb.GenerateStreamResponse:
    """One event of the stream."""
    if isinstance(item, AcceptedJob):
        return pb.GenerateStreamResponse(accepted=accepted_message(item))
    elapsed_ms = elapsed(job, item.at)
    if isinstance(item, FinishedImage):
        return pb.GenerateStreamResponse(image=image_message(item), elapsed_ms=elapsed_ms)
    band = pb.DrawnBand(
        image_index=item.image_index,
        band=item.band,
        seconds=item.band_seconds,
        speedup=speedup_message(item.speedup),
    )
    if isinstance(item, Preview):
        band.preview.CopyFrom(picture_message(item.picture, item.content))
    return pb.GenerateStreamResponse(band=band, elapsed_ms=elapsed_ms)


def image_message(image: FinishedImage) -> pb.Image:
    return pb.Image(
        image_index=image.image_index,
        bands_completed=image.bands_completed,
        band_seconds=image.band_seconds,
        picture=picture_message(image.picture, image.content),
        shed=image.shed,
        timing=timing_message(image.timing),
    )


def speedup_message(speedup: Mapping[str, float] | None) -> pb.Speedup | None:
    return None if speedup is None else pb.Speedup(**speedup)


def timing_message(timing: Mapping[str, float] | None) -> pb.Timing | None:
    return None if timing is None else pb.Timing(**timing)


def model_message(card: ModelCard, engine: EngineState) -> pb.Model:
    return pb.Model(
        id=card.id,
        digest=card.digest,
        engine=_ENGINES[engine],
        image_size=card.image_size,
        grid_sides=card.grid_sides,
        class_names=card.class_names,
        guidance_scale=card.guidance_scale,
        top_k=card.top_k,
        top_p=card.top_p,
        temperature=card.temperature,
    )


def timestamp(seconds: float) -> Timestamp:
    stamp = Timestamp()
    stamp.FromMicroseconds(round(seconds * 1_000_000))
    return stamp


def elapsed(job: Job, at: float) -> float:
    """Milliseconds since the job was accepted."""
    return round(max(0.0, at - job.created_at) * 1000, 3)
