"""Draws with Triton: one gRPC stream per generation, so that Triton can batch them.

Triton's own word on its health is not trusted: its server and its models stay "ready" after the
process that runs a model has died. `ready` asks for a real band instead.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np
from tritonclient.grpc import InferenceServerException, InferInput
from tritonclient.grpc.aio import InferenceServerClient

from service.cards import load_card
from service.domain import ModelCard, Sampling
from service.engine.engine import Canvas, DrawnBand, Generation, Pixels
from service.engine.limits import check_canvas, check_generation
from service.errors import EngineUnavailable

TRANSFORMER: Final = "nfig_transformer"
DECODER: Final = "nfig_decoder"
FINAL_PRIORITY, PREVIEW_PRIORITY = 1, 2
FRESH_SECONDS = 2.0
"""A band that arrived this recently proves the engine as well as a canary would."""
ERRORS = (InferenceServerException, grpc.RpcError, TimeoutError)


class TritonEngine:
    """Keeps `Engine`'s protocol. One client, and one connection, for all calls."""

    card: ModelCard

    def __init__(
        self,
        url: str,
        card: Path,
        *,
        timeout_seconds: float = 120.0,
        canary_seconds: float = 10.0,
        start_seconds: float = 60.0,
    ) -> None:
        """`url` is host:port of Triton's gRPC; `card` the path of the card that export wrote.

        A call may take `timeout_seconds`, a canary `canary_seconds`; `start` retries for
        `start_seconds`.
        """
        self._url = url
        self._card_path = card
        self._timeout_seconds = timeout_seconds
        self._canary_seconds = canary_seconds
        self._start_seconds = start_seconds
        self._client: Any = None
        self._proven_at = -FRESH_SECONDS

    async def start(self) -> None:
        """Waits for Triton to draw. Raises EngineUnavailable, ValueError if the card is bad."""
        self.card = load_card(self._card_path)
        self._client = InferenceServerClient(self._url)
        deadline = time.monotonic() + self._start_seconds
        while True:
            try:
                return await self._canary()
            except EngineUnavailable:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.2)

    async def ready(self) -> bool:
        if self._client is None:
            return False
        if time.monotonic() - self._proven_at < FRESH_SECONDS:
            return True
        with suppress(EngineUnavailable):
            await self._canary()
            return True
        return False

    async def draw(self, generation: Generation) -> AsyncGenerator[DrawnBand]:
        check_generation(generation, self.card)
        async with aclosing(self._bands(generation, self._timeout_seconds)) as bands:
            async for drawn in bands:
                yield drawn

    async def decode(self, canvas: Canvas, *, preview: bool) -> Pixels:
        check_canvas(canvas, self.card)
        with self._failures_mapped():
            result = await self._connected().infer(
                DECODER,
                [_input("canvas", canvas[None], "FP32")],
                priority=PREVIEW_PRIORITY if preview else FINAL_PRIORITY,
                client_timeout=self._timeout_seconds,
            )
        self._check_digest(result)
        pixels: Pixels = result.as_numpy("pixels")[0]
        return pixels

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _canary(self) -> None:
        """Draws one band of a fixed generation. Raises EngineUnavailable."""
        card = self.card
        sampling = Sampling(
            guidance_scale=card.guidance_scale,
            top_k=card.top_k,
            top_p=card.top_p,
            temperature=card.temperature,
        )
        generation = Generation(class_label=0, seed=0, image_index=0, sampling=sampling, bands=1)
        async with aclosing(self._bands(generation, self._canary_seconds)) as bands:
            async for _ in bands:
                pass

    async def _bands(
        self, generation: Generation, timeout_seconds: float
    ) -> AsyncGenerator[DrawnBand]:
        num_drawn = 0
        with self._failures_mapped():
            call = self._connected().stream_infer(
                _only({"model_name": TRANSFORMER, "inputs": _inputs(generation)}),
                stream_timeout=timeout_seconds,
            )
            try:
                async for result, error in call:
                    if error is not None:
                        raise error
                    self._check_digest(result)
                    self._proven_at = time.monotonic()
                    num_drawn += 1
                    yield _drawn_band(result)
            finally:
                # Leaving the loop early does not end the call by itself.
                call.cancel()
        if num_drawn < generation.bands:
            raise self._unavailable(f"the stream ended after {num_drawn} bands")

    @contextmanager
    def _failures_mapped(self) -> Iterator[None]:
        client = self._client
        try:
            yield
        except ERRORS as error:
            raise self._unavailable(_reason(error)) from error
        except asyncio.CancelledError:
            # Closing the client cancels its calls, which must not look like the caller's own
            # cancellation.
            task = asyncio.current_task()
            if client is self._client or (task is not None and task.cancelling()):
                raise
            raise self._unavailable("the engine is closed") from None

    def _connected(self) -> Any:
        if self._client is None:
            raise self._unavailable("the engine is closed")
        return self._client

    def _check_digest(self, result: Any) -> None:
        served = result.as_numpy("digest").item().decode()
        if served != self.card.digest:
            raise self._unavailable(
                f"it serves checkpoint {served[:12]}, the model card says {self.card.digest[:12]}"
            )

    def _unavailable(self, reason: str) -> EngineUnavailable:
        self._proven_at = -FRESH_SECONDS
        return EngineUnavailable(f"Triton does not draw: {reason}", retry_after_s=2.0)


def _inputs(generation: Generation) -> Sequence[Any]:
    """The tensors of `nfig/export/contract.py`, which a test holds equal to these."""
    sampling = generation.sampling
    whole = {
        "class_label": generation.class_label,
        "seed": generation.seed,
        "image_index": generation.image_index,
        "top_k": sampling.top_k,
        "bands": generation.bands,
    }
    real = {
        "guidance_scale": sampling.guidance_scale,
        "top_p": sampling.top_p,
        "temperature": sampling.temperature,
    }
    return [
        *(_input(name, np.array([[value]], np.int64), "INT64") for name, value in whole.items()),
        *(_input(name, np.array([[value]], np.float64), "FP64") for name, value in real.items()),
    ]


def _input(name: str, values: np.ndarray[Any, Any], datatype: str) -> Any:
    tensor = InferInput(name, list(values.shape), datatype)
    tensor.set_data_from_numpy(values)
    return tensor


async def _only(request: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
    yield request


def _drawn_band(result: Any) -> DrawnBand:
    return DrawnBand(
        band=int(result.as_numpy("band").item()),
        tokens=result.as_numpy("tokens")[0],
        canvas=result.as_numpy("canvas")[0],
        seconds=float(result.as_numpy("seconds").item()),
        batch_size=int(result.as_numpy("batch_size").item()),
    )


def _reason(error: Exception) -> str:
    if isinstance(error, InferenceServerException):
        return str(error.message())
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"
    return f"{type(error).__name__} {error}".strip()
