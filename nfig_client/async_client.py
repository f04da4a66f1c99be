"""`AsyncClient`: the service for programs with an event loop. What it does is `Client`'s."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
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


class AsyncClient:
    """One service. A context manager; tasks of one event loop may share it."""

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
        self._http = httpx.AsyncClient(timeout=timeout_seconds, limits=LIMITS)
        self._stream_timeout = stream_timeout(timeout_seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def generate(
        self, class_label: int | str, **options: Unpack[GenerationOptions]
    ) -> Generated:
        """Draws and waits. Raises JobFailedError or JobCancelledError if that is how it ends."""
        job = await self.create(class_label, **options)
        async for _ in self.watch(job):
            pass
        return await self.images(job)

    async def stream(
        self, class_label: int | str, **options: Unpack[GenerationOptions]
    ) -> AsyncGenerator[Event]:
        """Draws and shows it happening; the job is created when the first event is asked for.

        The last event says how it ended. Whoever stops listening leaves the job to itself.
        """
        job = await self.create(class_label, **options)
        async with aclosing(self.watch(job)) as events:
            async for event in events:
                yield event

    async def create(self, class_label: int | str, **options: Unpack[GenerationOptions]) -> Job:
        """A job that is drawn whether or not anybody waits for it."""
        return await self._run(self._flows.create(class_label, options))

    def watch(self, job: Job | str, *, after: str | None = None) -> AsyncGenerator[Event]:
        """Every event of the job's log, each once, after the one with that id or from the first.

        A connection that drops is opened again where it broke. Raises JobGoneError.
        """
        return self._watch(self._flows.watch(job, after=after))

    async def job(self, job: Job | str) -> Job:
        """The job as it is now."""
        return await self._run(self._flows.job(job))

    async def cancel(self, job: Job | str) -> Job:
        """One that runs ends at its next band; one that has ended stays as it is."""
        return await self._run(self._flows.cancel(job))

    async def images(self, job: Job | str) -> Generated:
        """What a job that has ended has drawn. Raises JobFailedError, JobCancelledError."""
        return await self._run(self._flows.images(job))

    async def download(self, picture: Picture) -> bytes:
        """The bytes of a preview or an image, checked against their digest."""
        return await self._run(self._flows.download(picture))

    async def models(self) -> list[Model]:
        """All models, without the names of their classes."""
        return await self._run(self._flows.models())

    async def model(self, model_id: str) -> Model:
        return await self._run(self._flows.model(model_id))

    async def _run(self, flow: Flow[T]) -> T:
        outcome: Outcome = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as end:
                result: T = end.value
                return result
            outcome = await self._take(step)

    async def _take(self, step: Step) -> Outcome:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        try:
            return answer_of(await self._http.request(**request_of(step, self._flows.connection)))
        except httpx.TransportError as error:
            return lost(error, step)

    async def _watch(self, watch: Watch) -> AsyncGenerator[Event]:
        while not watch.ended:
            call = watch.call()
            try:
                async with aclosing(self._connect(call, watch)) as events:
                    async for event in events:
                        yield event
            except httpx.TransportError as error:
                watch.lost(lost(error, call))
            await asyncio.sleep(watch.pause())

    async def _connect(self, call: Call, watch: Watch) -> AsyncGenerator[Event]:
        """What one connection brings."""
        request = request_of(call, self._flows.connection)
        async with self._http.stream(**request, timeout=self._stream_timeout) as response:
            if response.status_code == 200:
                async for chunk in response.aiter_bytes():
                    for event in watch.feed(chunk):
                        yield event
            else:
                await response.aread()
                watch.refused(answer_of(response))
