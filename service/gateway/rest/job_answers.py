"""A job in its wire shape, with every address that belongs to it."""

from __future__ import annotations

from starlette.requests import Request

from service.domain import (
    EVENT_NAMES,
    BandCompleted,
    ImageCompleted,
    Job,
    JobFailed,
    LoggedEvent,
)
from service.errors import catalogued, from_code
from service.gateway.native_jobs import ImageProgress, JobStatus
from service.gateway.rest.event_stream import ServerEvent
from service.gateway.rest.job_schemas import JobAnswer, JobError, JobImage, JobUrls


class JobAddresses:
    """URLs of one job, as its caller reaches us; callers never build them."""

    def __init__(self, request: Request, job_id: str) -> None:
        self.job = f"{request.base_url}v1/jobs/{job_id}"

    def image(self, index: int) -> str:
        return f"{self.job}/images/{index}"

    def picture(self, digest: str) -> str:
        return f"{self.job}/pictures/{digest}"

    def all(self, num_images: int) -> JobUrls:
        return JobUrls(
            self=self.job,
            events=f"{self.job}/events",
            cancel=f"{self.job}/cancel",
            images=[self.image(index) for index in range(num_images)],
        )


def job_answer(status: JobStatus, addresses: JobAddresses) -> JobAnswer:
    job: Job = status.job
    request = job.request
    return JobAnswer(
        id=job.id,
        state=job.state,
        created_at=job.created_at,
        position=status.position,
        estimated_start_ms=_milliseconds(status.estimate.start_seconds),
        estimated_end_ms=_milliseconds(status.estimate.end_seconds),
        model=request.model,
        class_label=request.class_label,
        num_images=request.num_images,
        seed=request.seed,
        bands=request.bands,
        keep_bands=request.keep_bands,
        deadline_ms=request.deadline_ms,
        start_within_ms=request.start_within_ms,
        priority=request.priority,
        brownout=request.brownout,
        images=[_image(image, addresses) for image in status.images],
        error=None if status.failure is None else _error(status.failure),
        urls=addresses.all(request.num_images),
    )


def job_event(job: Job, logged: LoggedEvent, addresses: JobAddresses) -> ServerEvent:
    """One event of the log: its own fields, and what a watcher needs beside them."""
    event = logged.event
    data = {
        "job": job.id,
        "elapsed_ms": round(max(0.0, logged.at - job.created_at) * 1000, 3),
        # Not `asdict`, which copies deeply: this is run for every event of every watcher.
        **vars(event),
    }
    if isinstance(event, BandCompleted) and event.preview is not None:
        url = addresses.picture(event.preview.digest)
        data["preview"] = {**vars(event.preview), "url": url}
    if isinstance(event, ImageCompleted):
        data["picture"] = {**vars(event.picture), "url": addresses.image(event.image_index)}
    return ServerEvent(name=EVENT_NAMES[type(event)], data=data, id=logged.id)


def _image(image: ImageProgress, addresses: JobAddresses) -> JobImage:
    known = JobImage(
        image_index=image.image_index, bands_completed=image.bands_completed, shed=image.shed
    )
    if image.picture is None:
        return known
    return known.model_copy(
        update={
            "digest": image.picture.digest,
            "url": addresses.image(image.image_index),
            "format": image.picture.format,
            "side": image.picture.side,
            "num_bytes": image.picture.num_bytes,
        }
    )


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)


def _error(failure: JobFailed) -> JobError:
    entry = catalogued(from_code(failure.code, failure.message))
    return JobError(
        type=f"urn:nfig:error:{entry.code}",
        title=entry.title,
        status=entry.http_status,
        detail=failure.message,
        code=entry.code,
        retryable=entry.retryable,
    )
