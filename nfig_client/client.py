"""`Client`: the service for programs that wait for their calls."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self, TypeVar, Unpack

import httpx

from nfig_client.backoff import Backoff
from nfig_client.calls import Call, Flow, Outcome, Pause, Step
from nfig_client.connection import connection
from nfig_client.events import Event
from nfig_client.flows import Flows
from nfig_client.http import LIMITS, answer_of, lost, request_of, stream_timeout
from nfig_client.options import GenerationOptions
from nfig_client.records import Generated, Job, Model, Picture
from nfig_client.watch import Watch

T = TypeVar("T")


class Client:
    """One service. A context manager; threads may share it.

    Every call repeats itself where that may help, within `backoff`, and raises an `NFIGError`.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        timeout_seconds: float = 30.0,
        backoff: Backoff | None = None,
    ) -> None:
        """Without them NFIG_BASE_URL and NFIG_API_KEY; without those a service on this machine."""
        self._flows = Flows(connection(base_url, api_key), backoff or Backoff())
        self._http = httpx.Client(timeout=timeout_seconds, limits=LIMITS)
        self._stream_timeout = stream_timeout(timeout_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def generate(self, class_label: int | str, **options: Unpack[GenerationOptions]) -> Generated:
        """Draws and waits. Raises JobFailedError or JobCancelledError if that is how it ends."""
        job = self.create(class_label, **options)
        for _ in self.watch(job):
            pass
        return self.images(job)

    def stream(
        self, class_label: int | str, **options: Unpack[GenerationOptions]
    ) -> Iterator[Event]:
        """Draws and shows it happening; the job is created when the first event is asked for.

        The last event says how it ended. Whoever stops listening leaves the job to itself.
        """
        yield from self.watch(self.create(class_label, **options))

    def create(self, class_label: int | str, **options: Unpack[GenerationOptions]) -> Job:
        """A job that is drawn whether or not anybody waits for it."""
        return self._run(self._flows.create(class_label, options))

    def watch(self, job: Job | str, *, after: str | None = None) -> Iterator[Event]:
        """Every event of the job's log, each once, after the one with that id or from the first.

        A connection that drops is opened again where it broke. Raises JobGoneError.
        """
        return self._watch(self._flows.watch(job, after=after))

    def job(self, job: Job | str) -> Job:
        """The job as it is now."""
        return self._run(self._flows.job(job))

    def cancel(self, job: Job | str) -> Job:
        """One that runs ends at its next band; one that has ended stays as it is."""
        return self._run(self._flows.cancel(job))

    def images(self, job: Job | str) -> Generated:
        """What a job that has ended has drawn. Raises JobFailedError, JobCancelledError."""
        return self._run(self._flows.images(job))

    def download(self, picture: Picture) -> bytes:
        """The bytes of a preview or an image, checked against their digest."""
        return self._run(self._flows.download(picture))

    def models(self) -> list[Model]:
        """All models, without the names of their classes."""
        return self._run(self._flows.models())

    def model(self, model_id: str) -> Model:
        return self._run(self._flows.model(model_id))

    def _run(self, flow: Flow[T]) -> T:
        outcome: Outcome = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as end:
                result: T = end.value
                return result
            outcome = self._take(step)

    def _take(self, step: Step) -> Outcome:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        try:
            return answer_of(self._http.request(**request_of(step, self._flows.connection)))
        except httpx.TransportError as error:
            return lost(error, step)

    def _watch(self, watch: Watch) -> Iterator[Event]:
        while not watch.ended:
            call = watch.call()
            try:
                yield from self._connect(call, watch)
            except httpx.TransportError as error:
                watch.lost(lost(error, call))
            time.sleep(watch.pause())

    def _connect(self, call: Call, watch: Watch) -> Iterator[Event]:
        """What one connection brings."""
        request = request_of(call, self._flows.connection)
        with self._http.stream(**request, timeout=self._stream_timeout) as response:
            if response.status_code == 200:
                for chunk in response.iter_bytes():
                    yield from watch.feed(chunk)
            else:
                response.read()
                watch.refused(answer_of(response))
