"""Draws with Triton: one gRPC stream per generation, so that Triton can batch them.

Triton's own word on its health is not trusted: its server and its models stay "ready" after the
process that runs a model has died. `ready` asks each model for something real instead.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
from tritonclient.grpc import InferInput

from service.cards import load_card
from service.domain import ModelCard, Sampling
from service.engine.engine import BandTokens, Canvas, DrawnBand, Generation, Pixels, Tokens
from service.engine.limits import (
    check_canvas,
    check_generation,
    check_pixels,
    check_preview,
    split_bands,
)
from service.engine.triton_calls import TritonCalls, TritonFailure
from service.errors import EngineUnavailable

TRANSFORMER: Final = "nfig_transformer"
DECODER: Final = "nfig_decoder"
ENCODER: Final = "nfig_encoder"
NO_TOKEN: Final = -1
FINAL_PRIORITY, PREVIEW_PRIORITY = 1, 2
NO_PREVIEW = -1
"""Stands for an image in the decoder's input."""
BASELINES: Final = ("as_published", "same_code")
FRESH_SECONDS: Final = {TRANSFORMER: 2.0, DECODER: 15.0, ENCODER: 15.0}
"""For how long an answer of a model proves it as well as a canary would. Each is a process of its
own that may die alone; a call that fails is a proof no longer."""


class TritonEngine:
    """Keeps `Engine`'s protocol."""

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
        self._calls: TritonCalls | None = None
        self._proven_at: dict[str, float] = {}
        """By model: when it last answered as it should."""

    async def start(self) -> None:
        """Waits for Triton to draw. Raises EngineUnavailable, ValueError if the card is bad."""
        self.card = load_card(self._card_path)
        self._calls = TritonCalls(self._url)
        deadline = time.monotonic() + self._start_seconds
        while True:
            try:
                return await self._prove()
            except EngineUnavailable:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.2)

    async def ready(self) -> bool:
        if self._calls is None:
            return False
        with suppress(EngineUnavailable):
            await self._prove()
            return True
        return False

    async def draw(self, generation: Generation) -> AsyncGenerator[DrawnBand]:
        calls = self._started()
        check_generation(generation, self.card)
        async with aclosing(self._bands(calls, generation, self._timeout_seconds)) as bands:
            async for drawn in bands:
                yield drawn

    async def decode(self, canvas: Canvas, *, preview_of: int | None = None) -> Pixels:
        calls = self._started()
        check_canvas(canvas, self.card)
        check_preview(preview_of, self.card)
        result = await self._infer(
            calls,
            DECODER,
            _decoder_inputs(canvas, preview_of),
            priority=FINAL_PRIORITY if preview_of is None else PREVIEW_PRIORITY,
            timeout_seconds=self._timeout_seconds,
        )
        pixels: Pixels = result.as_numpy("pixels")[0]
        return pixels

    async def encode(self, pixels: Pixels) -> BandTokens:
        calls = self._started()
        check_pixels(pixels, self.card)
        inputs = [_input("pixels", pixels[None], "UINT8")]
        result = await self._infer(calls, ENCODER, inputs, timeout_seconds=self._timeout_seconds)
        return split_bands(result.as_numpy("tokens")[0], self.card)

    async def close(self) -> None:
        calls, self._calls = self._calls, None
        if calls is not None:
            await calls.close()

    async def _prove(self) -> None:
        """Asks a canary of each model that is not proven. Raises EngineUnavailable."""
        canaries: Mapping[str, Callable[[], Awaitable[object]]] = {
            TRANSFORMER: self._draw_canary,
            DECODER: self._decode_canary,
            ENCODER: self._encode_canary,
        }
        for model, canary in canaries.items():
            proven_at = self._proven_at.get(model, -math.inf)
            if time.monotonic() - proven_at >= FRESH_SECONDS[model]:
                await canary()

    async def _draw_canary(self) -> None:
        """One band of a fixed generation."""
        card = self.card
        sampling = Sampling(
            guidance_scale=card.guidance_scale,
            top_k=card.top_k,
            top_p=card.top_p,
            temperature=card.temperature,
        )
        generation = Generation(class_label=0, seed=0, image_index=0, sampling=sampling, bands=1)
        async for _ in self._bands(self._started(), generation, self._canary_seconds):
            pass

    async def _decode_canary(self) -> None:
        side = self.card.latent_side
        canvas = np.zeros((self.card.latent_channels, side, side), np.float32)
        inputs = _decoder_inputs(canvas, None)
        await self._infer(self._started(), DECODER, inputs, timeout_seconds=self._canary_seconds)

    async def _encode_canary(self) -> None:
        pixels = np.zeros((1, self.card.image_size, self.card.image_size, 3), np.uint8)
        inputs = [_input("pixels", pixels, "UINT8")]
        await self._infer(self._started(), ENCODER, inputs, timeout_seconds=self._canary_seconds)

    async def _bands(
        self, calls: TritonCalls, generation: Generation, timeout_seconds: float
    ) -> AsyncGenerator[DrawnBand]:
        request = {"model_name": TRANSFORMER, "inputs": _inputs(generation, self.card)}
        results = calls.stream(
            request, num_responses=generation.bands, timeout_seconds=timeout_seconds
        )
        try:
            async with aclosing(results):
                async for result in results:
                    self._check(result, TRANSFORMER)
                    yield _drawn_band(result)
        except TritonFailure as failure:
            raise self._unavailable(str(failure), TRANSFORMER) from failure

    async def _infer(
        self,
        calls: TritonCalls,
        model: str,
        inputs: Sequence[Any],
        *,
        priority: int = 0,
        timeout_seconds: float,
    ) -> Any:
        try:
            result = await calls.infer(
                model_name=model,
                inputs=inputs,
                priority=priority,
                timeout_seconds=timeout_seconds,
            )
        except TritonFailure as failure:
            raise self._unavailable(str(failure), model) from failure
        self._check(result, model)
        return result

    def _started(self) -> TritonCalls:
        if self._calls is None:
            raise self._unavailable("the engine is closed")
        return self._calls

    def _check(self, result: Any, model: str) -> None:
        """A proof of the model, if its checkpoint is that of the card."""
        served = result.as_numpy("digest").item().decode()
        if served != self.card.digest:
            raise self._unavailable(
                f"it serves checkpoint {served[:12]}, the model card says {self.card.digest[:12]}",
                model,
            )
        self._proven_at[model] = time.monotonic()

    def _unavailable(self, reason: str, *models: str) -> EngineUnavailable:
        for model in models:
            self._proven_at.pop(model, None)
        return EngineUnavailable(f"Triton does not draw: {reason}", retry_after_s=2.0)


def _inputs(generation: Generation, card: ModelCard) -> Sequence[Any]:
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
        _input("kept", _kept(generation, card)[None], "INT32"),
    ]


def _kept(generation: Generation, card: ModelCard) -> Tokens:
    """Tokens (L,) of all bands, those that are not given left open."""
    tokens = np.full(sum(side * side for side in card.grid_sides), NO_TOKEN, np.int32)
    given = [token for band in generation.kept for token in band]
    tokens[: len(given)] = given
    return tokens


def _decoder_inputs(canvas: Canvas, preview_of: int | None) -> Sequence[Any]:
    band = NO_PREVIEW if preview_of is None else preview_of
    return [
        _input("canvas", canvas[None], "FP32"),
        _input("preview_of", np.array([[band]], np.int32), "INT32"),
    ]


def _input(name: str, values: np.ndarray[Any, Any], datatype: str) -> Any:
    tensor = InferInput(name, list(values.shape), datatype)
    tensor.set_data_from_numpy(values)
    return tensor


def _drawn_band(result: Any) -> DrawnBand:
    return DrawnBand(
        band=int(result.as_numpy("band").item()),
        tokens=result.as_numpy("tokens")[0],
        canvas=result.as_numpy("canvas")[0],
        seconds=float(result.as_numpy("seconds").item()),
        batch_size=int(result.as_numpy("batch_size").item()),
        baseline_seconds={
            name: float(seconds)
            for name, seconds in zip(BASELINES, result.as_numpy("baseline_seconds")[0], strict=True)
            if not math.isnan(seconds)
        },
    )
