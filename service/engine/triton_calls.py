"""Calls to Triton that are never cancelled at a bad moment.

Triton up to 25.03 (server issues 7368 and 8034) can crash, or keep a request for ever, when the
cancellation of a call meets a response on its way. So every call belongs to a task of its own that
outlives its caller: a unary call simply runs to its end, and a stream whose caller has left is
cancelled right after a band has arrived, while the next one is still being drawn.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping
from typing import Any

import grpc
from tritonclient.grpc import InferenceServerException
from tritonclient.grpc.aio import InferenceServerClient

from service.tracing import Span, span

CLOSE_SECONDS = 2.0
"""How long `close` waits for calls to reach a good moment to end."""


class TritonFailure(Exception):
    """A call failed; the message says why, for people."""


class TritonCalls:
    """One client, and one connection, for all calls of a process."""

    def __init__(self, url: str) -> None:
        self._client: Any = InferenceServerClient(url)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._streams: set[_Stream] = set()
        self._closed = False

    async def infer(self, *, timeout_seconds: float, **request: Any) -> Any:
        """The result of a unary call. Raises TritonFailure."""
        self._check_open()
        with _call_span(request) as traced:
            call = self._client.infer(
                **request, client_timeout=timeout_seconds, headers=traced.headers
            )
            try:
                return await asyncio.shield(self._spawn(_result(call)))
            except TritonFailure:
                traced.fail("triton_failure")
                raise

    async def stream(
        self, request: Mapping[str, Any], *, num_responses: int, timeout_seconds: float
    ) -> AsyncGenerator[Any]:
        """The results of one request to a decoupled model. Raises TritonFailure.

        `num_responses` is how many there are to be. Closing the generator ends the call.
        """
        self._check_open()
        deadline = time.monotonic() + timeout_seconds
        # The limit of the call itself is only for a Triton that does not answer at all.
        traced = _call_span(request)
        call = self._client.stream_infer(
            _only(request), stream_timeout=2 * timeout_seconds, headers=traced.headers
        )
        stream = _Stream(call, num_responses)
        self._streams.add(stream)
        self._spawn(stream.read())
        try:
            for _ in range(num_responses):
                yield await _next(stream, deadline - time.monotonic())
        except TritonFailure:
            traced.fail("triton_failure")
            raise
        finally:
            # Not entered: a generator does not leave its caller's context as it was.
            traced.end()
            stream.left = True
            self._streams.discard(stream)

    async def close(self) -> None:
        """Ends all calls; their callers get TritonFailure. Safe to call twice."""
        self._closed = True
        for stream in self._streams:
            stream.left = True
            stream.arrivals.put_nowait(TritonFailure("the engine is closed"))
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
        await self._client.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)

    def _check_open(self) -> None:
        if self._closed:
            raise TritonFailure("the engine is closed")

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # its caller may have left; asyncio must not complain


class _Stream:
    """What a reader task and its caller share."""

    def __init__(self, call: Any, num_responses: int) -> None:
        self.arrivals: asyncio.Queue[Any] = asyncio.Queue()
        self.left = False
        self._call = call
        self._num_responses = num_responses

    async def read(self) -> None:
        """Hands on what arrives, until Triton ends the stream or the caller is gone."""
        num_read = 0
        try:
            async for result, error in self._call:
                failure = None if error is None else TritonFailure(error.message())
                self.arrivals.put_nowait(failure or result)
                num_read += 1
                if self.left and num_read < self._num_responses:
                    break
            self.arrivals.put_nowait(TritonFailure(f"the stream ended after {num_read} bands"))
        except (grpc.RpcError, asyncio.CancelledError) as error:
            self.arrivals.put_nowait(TritonFailure(_reason(error)))
        finally:
            self._call.cancel()


def _call_span(request: Mapping[str, Any]) -> Span:
    """Triton's own spans become its children, where it is told to trace (docs/operations.md)."""
    model = request["model_name"]
    attributes = {"rpc.system": "grpc", "nfig.triton.model": model}
    return span(f"triton {model}", attributes, kind="client")


async def _next(stream: _Stream, seconds: float) -> Any:
    try:
        async with asyncio.timeout(seconds):
            item = await stream.arrivals.get()
    except TimeoutError:
        raise TritonFailure("it did not answer in time") from None
    if isinstance(item, TritonFailure):
        raise item
    return item


async def _result(call: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await call
    except (InferenceServerException, grpc.RpcError, asyncio.CancelledError) as error:
        raise TritonFailure(_reason(error)) from error


async def _only(request: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
    yield request


def _reason(error: BaseException) -> str:
    if isinstance(error, InferenceServerException):
        return str(error.message())
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"
    # Closing the client cancels what still runs on it.
    return "the engine is closed"
