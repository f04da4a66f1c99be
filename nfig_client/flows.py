"""What both clients do, as generators of calls and pauses; nothing here waits or connects."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

from nfig_client.backoff import Backoff, Retries
from nfig_client.calls import Answer, Call, Flow, Pause, error_of
from nfig_client.connection import Connection
from nfig_client.errors import (
    ConnectionLostError,
    JobCancelledError,
    JobFailedError,
    ProtocolError,
)
from nfig_client.options import GenerationOptions, idempotency_key, job_body
from nfig_client.reading import member
from nfig_client.records import Generated, Image, Job, Model, Picture, read_job, read_model
from nfig_client.watch import Watch


class Flows:
    """The verbs of one service, each with its retries."""

    def __init__(self, connection: Connection, backoff: Backoff) -> None:
        self.connection = connection
        self.backoff = backoff

    def create(self, class_label: int | str, options: GenerationOptions) -> Flow[Job]:
        headers = {"idempotency-key": idempotency_key(options)}
        body = job_body(class_label, options)
        url = self.connection.url("/v1/jobs")
        answer = yield from self._answer(Call(method="POST", url=url, headers=headers, body=body))
        return read_job(answer.json())

    def job(self, job: Job | str) -> Flow[Job]:
        return read_job((yield from self._get(self._job_url(job))).json())

    def cancel(self, job: Job | str) -> Flow[Job]:
        url = job.urls.cancel if isinstance(job, Job) else f"{self._job_url(job)}/cancel"
        answer = yield from self._answer(Call(method="POST", url=url))
        return read_job(answer.json())

    def watch(self, job: Job | str, *, after: str | None) -> Watch:
        url = job.urls.events if isinstance(job, Job) else f"{self._job_url(job)}/events"
        return Watch(url, after=after, backoff=self.backoff)

    def download(self, picture: Picture) -> Flow[bytes]:
        """Raises ProtocolError where the bytes are not the picture's."""
        content = (yield from self._get(picture.url)).content
        if hashlib.sha256(content).hexdigest() != picture.digest:
            raise ProtocolError(f"{picture.url} is not the picture {picture.digest}")
        return content

    def images(self, job: Job | str) -> Flow[Generated]:
        """Of a job that has ended. Raises JobFailedError, JobCancelledError."""
        ended = yield from self.job(job)
        _check_completed(ended)
        images: list[Image] = []
        for image in ended.images:
            if image.picture is None:
                raise ProtocolError(f"job {ended.id} is complete without all of its images")
            content = yield from self.download(image.picture)
            images.append(
                Image(
                    image_index=image.image_index,
                    seed=ended.seed,
                    bands_completed=image.bands_completed,
                    format=image.picture.format,
                    digest=image.picture.digest,
                    content=content,
                    shed=image.shed,
                )
            )
        return Generated(job=ended, images=tuple(images))

    def models(self) -> Flow[list[Model]]:
        answer = yield from self._get(self.connection.url("/v1/models"))
        return [read_model(each) for each in member(answer.json(), "data")]

    def model(self, model_id: str) -> Flow[Model]:
        url = self.connection.url(f"/v1/models/{quote(model_id, safe='')}")
        return read_model((yield from self._get(url)).json())

    def _job_url(self, job: Job | str) -> str:
        if isinstance(job, Job):
            return job.urls.self
        if not job:
            raise ValueError("job must be the id of one")
        return self.connection.url(f"/v1/jobs/{quote(job, safe='')}")

    def _get(self, url: str) -> Flow[Answer]:
        return (yield from self._answer(Call(method="GET", url=url)))

    def _answer(self, call: Call) -> Flow[Answer]:
        """Every call may be repeated: what creates carries a key, the rest changes nothing twice.

        Raises ApiError, ConnectionLostError.
        """
        retries = Retries(self.backoff)
        while True:
            outcome = yield call
            assert outcome is not None
            if isinstance(outcome, ConnectionLostError):
                yield Pause(seconds=retries.pause_after(outcome))
                continue
            error = error_of(outcome)
            if error is None:
                return outcome
            yield Pause(seconds=retries.pause_after(error))


def _check_completed(job: Job) -> None:
    if job.state == "cancelled":
        raise JobCancelledError(job=job.id)
    if job.error is not None:
        error = job.error
        raise JobFailedError(error.detail, job=job.id, code=error.code, retryable=error.retryable)
    if job.state != "completed":
        raise ProtocolError(f"job {job.id} has not ended: it is {job.state}")
