"""Jobs and the events of their logs as messages."""

from __future__ import annotations

from collections.abc import Mapping

from nfig_proto.v1 import image_generation_pb2 as pb
from service.domain import (
    BandCompleted,
    Event,
    ImageCompleted,
    Job,
    JobCancelled,
    JobCompleted,
    JobFailed,
    JobQueued,
    JobStarted,
    JobState,
    LoggedEvent,
    Picture,
)
from service.errors import catalogued, from_code
from service.gateway.native_jobs import JobStatus
from service.gateway.rpc.answers import (
    elapsed,
    picture_message,
    speedup_message,
    timestamp,
    timing_message,
)
from service.gateway.rpc.specs import BROWNOUTS, PRIORITIES

_STATES = {
    JobState.QUEUED: pb.JOB_STATE_QUEUED,
    JobState.RUNNING: pb.JOB_STATE_RUNNING,
    JobState.COMPLETED: pb.JOB_STATE_COMPLETED,
    JobState.FAILED: pb.JOB_STATE_FAILED,
    JobState.CANCELLED: pb.JOB_STATE_CANCELLED,
}
_PRIORITIES = {priority: number for number, priority in PRIORITIES.items()}
_BROWNOUTS = {consent: number for number, consent in BROWNOUTS.items()}


def job_message(status: JobStatus, contents: Mapping[str, bytes] | None = None) -> pb.Job:
    """`contents` are bytes of pictures by their digest."""
    job, request = status.job, status.job.request
    return pb.Job(
        id=job.id,
        state=_STATES[job.state],
        created_at=timestamp(job.created_at),
        position=status.position,
        model=request.model,
        class_label=request.class_label,
        num_images=request.num_images,
        seed=request.seed,
        bands=request.bands,
        images=[
            pb.JobImage(
                image_index=image.image_index,
                bands_completed=image.bands_completed,
                picture=_picture(image.picture, contents or {}),
                shed=image.shed,
            )
            for image in status.images
        ],
        error=None if status.failure is None else _failed(status.failure),
        estimated_start_ms=_milliseconds(status.estimate.start_seconds),
        estimated_end_ms=_milliseconds(status.estimate.end_seconds),
        deadline_ms=request.deadline_ms,
        start_within_ms=request.start_within_ms,
        keep_bands=request.keep_bands,
        brownout=_BROWNOUTS[request.brownout],
        priority=_PRIORITIES[request.priority],
    )


def picture_of(event: Event) -> Picture | None:
    """The picture that an event tells of."""
    if isinstance(event, BandCompleted):
        return event.preview
    return event.picture if isinstance(event, ImageCompleted) else None


def event_message(job: Job, logged: LoggedEvent, content: bytes = b"") -> pb.WatchJobResponse:
    """`content` is that of the event's picture."""
    message = pb.WatchJobResponse(id=logged.id, elapsed_ms=elapsed(job, logged.at))
    match logged.event:
        case JobQueued():
            message.queued.SetInParent()
        case JobStarted(attempt=attempt):
            message.started.attempt = attempt
            message.started.SetInParent()
        case BandCompleted() as band:
            message.band.CopyFrom(_band(band, content))
        case ImageCompleted() as image:
            message.image.image_index = image.image_index
            message.image.bands_completed = image.bands_completed
            message.image.shed = image.shed
            message.image.picture.CopyFrom(picture_message(image.picture, content))
            if (timing := timing_message(image.timing)) is not None:
                message.image.timing.CopyFrom(timing)
        case JobCompleted():
            message.completed.SetInParent()
        case JobFailed() as failure:
            message.failed.CopyFrom(_failed(failure))
        case JobCancelled():
            message.cancelled.SetInParent()
    return message


def _band(event: BandCompleted, content: bytes) -> pb.BandCompleted:
    return pb.BandCompleted(
        image_index=event.image_index,
        band=event.band,
        token_digest=event.token_digest,
        seconds=event.seconds,
        batch_size=event.batch_size,
        preview=None if event.preview is None else picture_message(event.preview, content),
        speedup=speedup_message(event.speedup),
    )


def _failed(failure: JobFailed) -> pb.JobFailed:
    entry = catalogued(from_code(failure.code, failure.message))
    return pb.JobFailed(code=entry.code, message=failure.message, retryable=entry.retryable)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)


def _picture(picture: Picture | None, contents: Mapping[str, bytes]) -> pb.Picture | None:
    if picture is None:
        return None
    return picture_message(picture, contents.get(picture.digest, b""))
