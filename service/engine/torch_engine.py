"""Draws in this very process: the fallback where Triton cannot run, and the shortest path.

The only module of the service that imports the model library.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path

import numpy as np
import torch

from nfig.export.band_metrics import baseline_labels
from nfig.export.exporter import card_fields
from nfig.export.idle_baseline import IdleBaseline
from nfig.export.quiet import Quiet
from nfig.export.served_encoder import ServedEncoder
from nfig.export.served_model import ServedBand, ServedModel, ServedRow
from nfig.generation import Generation as ModelGeneration
from service.cards import build_card
from service.domain import ModelCard
from service.engine.batcher import Batcher, BatchStep
from service.engine.engine import BandTokens, Canvas, DrawnBand, Generation, Pixels, Tokens
from service.engine.limits import (
    check_canvas,
    check_generation,
    check_pixels,
    check_preview,
    split_bands,
)
from service.errors import EngineUnavailable
from service.metrics import Metrics
from service.settings import BaselineMode

LANES = 2
"""Batches that a CPU draws side by side, each with its share of the cores, as Triton's instances do
(docs/decisions/0015-two-instances-with-half-the-cores.md)."""


class TorchEngine:
    """Keeps `Engine`'s protocol."""

    card: ModelCard

    def __init__(
        self,
        checkpoint: Path,
        *,
        device: str = "cpu",
        window_seconds: float = 0.004,
        metrics: Metrics | None = None,
        baseline: BaselineMode = "off",
    ) -> None:
        """`checkpoint` is a folder. Draws that come within `window_seconds` of each other share a
        batch.

        The latency of every executed band goes to `metrics`. `baseline` is when what speed is
        compared with is measured; it is kept in the checkpoint's folder, where that can be written.
        """
        self._baseline_mode = baseline
        self._quiet = Quiet()
        self._checkpoint = checkpoint
        self._device = device
        self._window_seconds = window_seconds
        self._metrics = metrics
        cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
        # One batch on several cores waits for the slowest of them at every operation.
        self._lanes = min(LANES, cores) if device == "cpu" else 1
        told = "OMP_NUM_THREADS" in os.environ
        self._threads = torch.get_num_threads() if told else cores // self._lanes
        self._batcher: Batcher | None = None

    async def start(self) -> None:
        """Loads the model and warms it up. Raises ValueError if the checkpoint is bad."""
        served = await asyncio.to_thread(self._load)
        self.card = build_card(card_fields(served.config, digest=served.digest))
        self._batcher = Batcher(
            _Model(served, self._metrics, self._quiet),
            max_batch=max(self.card.batch_sizes),
            window_seconds=self._window_seconds,
            lanes=self._lanes,
            initializer=self._share_cores,
        )

    async def ready(self) -> bool:
        return self._batcher is not None and self._batcher.alive

    async def draw(self, generation: Generation) -> AsyncGenerator[DrawnBand]:
        batcher = self._started()
        check_generation(generation, self.card)
        async with aclosing(batcher.draw(generation)) as bands:
            async for drawn in bands:
                yield drawn

    async def decode(self, canvas: Canvas, *, preview_of: int | None = None) -> Pixels:
        batcher = self._started()
        check_canvas(canvas, self.card)
        check_preview(preview_of, self.card)
        return await batcher.decode(canvas, preview_of=preview_of)

    async def encode(self, pixels: Pixels) -> BandTokens:
        batcher = self._started()
        check_pixels(pixels, self.card)
        return split_bands(await batcher.encode(pixels), self.card)

    async def close(self) -> None:
        self._quiet.close()
        batcher, self._batcher = self._batcher, None
        if batcher is not None:
            await asyncio.to_thread(batcher.close)

    def _share_cores(self) -> None:
        """Of the thread that calls it, and of those that have not asked PyTorch for any yet."""
        torch.set_num_threads(self._threads)

    def _load(self) -> ServedModel:
        self._share_cores()
        served = ServedModel.load(self._checkpoint, device=self._device)
        served.warm_up()
        IdleBaseline(served, self._checkpoint, self._quiet, mode=self._baseline_mode).start()
        return served

    def _started(self) -> Batcher:
        if self._batcher is None:
            raise EngineUnavailable("the engine is closed", retry_after_s=1.0)
        return self._batcher


class _Model:
    """The model as the batcher wants it: the service's words in and out."""

    def __init__(self, served: ServedModel, metrics: Metrics | None, quiet: Quiet) -> None:
        self._served = served
        self._quiet = quiet
        self._encoder = ServedEncoder(
            served.model.tokenizer, digest=served.digest, device=served.model.device
        )
        self._metrics = metrics

    def draw(
        self, generations: Sequence[Generation], is_alive: Callable[[int], bool]
    ) -> Iterator[BatchStep]:
        rows = [_model_generation(generation) for generation in generations]
        with self._quiet.at_work():
            for step in self._served.draw(rows, is_alive=is_alive):
                self._observe(step)
                yield [None if row is None else _drawn_band(step, row) for row in step.rows]

    def decode(
        self, canvases: Sequence[Canvas], previews_of: Sequence[int | None]
    ) -> Sequence[Pixels]:
        with self._quiet.at_work():
            return list(self._served.decode(np.stack(canvases), previews_of))

    def encode(self, pixels: Pixels) -> Tokens:
        with self._quiet.at_work():
            tokens: Tokens = self._encoder.encode(pixels[None])[0]
        return tokens

    def _observe(self, step: ServedBand) -> None:
        if (metrics := self._metrics) is None:
            return
        name, band = self._served.config.name, str(step.band)
        metrics.band_latency.labels(name, band).observe(step.seconds)
        if step.band == 0:
            metrics.batch_size.labels(name).observe(step.batch_size)
        if step.baseline_seconds and (baseline := self._served.baseline) is not None:
            metrics.band_seconds.labels(name, band).inc(step.seconds)
            for baseline_name, seconds in step.baseline_seconds.items():
                metrics.band_baseline_seconds.labels(name, band, baseline_name).inc(seconds)
                labels = baseline_labels(name, baseline, baseline_name)
                metrics.baseline_info.labels(**labels).set(1)


def _drawn_band(step: ServedBand, row: ServedRow) -> DrawnBand:
    return DrawnBand(
        band=step.band,
        tokens=row.tokens,
        canvas=row.canvas,
        seconds=step.seconds,
        batch_size=step.batch_size,
        baseline_seconds=step.baseline_seconds,
    )


def _model_generation(generation: Generation) -> ModelGeneration:
    sampling = generation.sampling
    return ModelGeneration(
        class_label=generation.class_label,
        seed=generation.seed,
        image_index=generation.image_index,
        guidance_scale=sampling.guidance_scale,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        temperature=sampling.temperature,
        bands=generation.bands,
        kept=generation.kept,
    )
