"""What is timed: a model, and one way of running it, behind one face.

Random weights serve, because what a generation takes does not depend on their values.

Shape legend: B batch rows, C latent channels, H W latent grid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import torch
from torch import Tensor, nn

from nfig.building import random_model
from nfig.config import ModelConfig
from nfig.generation import Generation, generate
from nfig.graphs import Graphs
from nfig.int8 import has_int8
from nfig.model import NFIGModel
from nfig.precision import dtype_named, lay_out
from nfig.profile import FAST_DTYPE, round_layers
from nfig.speed.clock import Times, now
from nfig.speed.published_var import PublishedVAR


class Contender(Protocol):
    """Draws batches of images and leaves pixels where they are made."""

    config: ModelConfig
    device: torch.device

    def bands(self, batch_size: int) -> Iterator[tuple[float, Tensor]]:
        """Seconds of each band and the canvas after it."""
        ...

    def decode(self, canvas_BCHW: Tensor) -> Tensor:
        """Pixels of finished canvases."""
        ...


class EngineContender:
    """A model as this project runs it."""

    def __init__(self, model: NFIGModel) -> None:
        self.model = model.eval()
        self.config = model.config
        self.device = model.device
        self.graphs = Graphs.on(self.device)

    @classmethod
    def random(cls, config: ModelConfig, *, device: torch.device, dtype: str) -> EngineContender:
        """In the config's profile. Raises ValueError on an unknown dtype."""
        fast = config.profile == "fast"
        rounded = fast and has_int8(device)

        def finish(module: nn.Module) -> None:
            if rounded:
                round_layers(module)
            lay_out(module)

        dtype = FAST_DTYPE if fast else dtype
        return cls(random_model(config, device=device, dtype=dtype, finish=finish))

    def bands(self, batch_size: int) -> Iterator[tuple[float, Tensor]]:
        sampling = self.config.sampling
        generations = [
            Generation.with_sampling(
                sampling, class_label=row % self.config.transformer.num_classes, seed=row
            )
            for row in range(batch_size)
        ]
        for step in generate(self.model, generations, graphs=self.graphs):
            yield step.seconds, step.canvas_BCHW

    @torch.no_grad()
    def decode(self, canvas_BCHW: Tensor) -> Tensor:
        return self.model.tokenizer.decode_canvas(canvas_BCHW)

    @torch.no_grad()
    def preview(self, band: int, canvas_BCHW: Tensor) -> Tensor:
        """Pixels of the canvas after a band; of the last one the image's."""
        return self.model.tokenizer.preview(band, canvas_BCHW)


class PublishedContender:
    """VAR as its authors run it: in 16 bits by automatic casts around weights in float32."""

    def __init__(self, model: PublishedVAR, *, device: torch.device, dtype: str) -> None:
        self.model = model.to(device)
        self.config = model.config
        self.device = device
        self.dtype = dtype_named(dtype)

    @classmethod
    def random(cls, config: ModelConfig, *, device: torch.device, dtype: str) -> PublishedContender:
        """Raises ValueError on an unknown dtype."""
        return cls(PublishedVAR(config), device=device, dtype=dtype)

    def bands(self, batch_size: int) -> Iterator[tuple[float, Tensor]]:
        labels_B = torch.arange(batch_size, device=self.device)
        steps = self.model.draw(
            labels_B % self.config.transformer.num_classes, sampling=self.config.sampling
        )
        while True:
            with self._casts():
                step = next(steps, None)
            if step is None:
                return
            yield step.seconds, step.canvas_BCHW

    def decode(self, canvas_BCHW: Tensor) -> Tensor:
        with self._casts():
            return self.model.decode(canvas_BCHW)

    def _casts(self) -> AbstractContextManager[object]:
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)


def time_bands(
    contender: Contender, batch_size: int, *, stop: Callable[[], bool] | None = None
) -> Times | None:
    """Draws once, without pixels; None if `stop` said so after a band."""
    seconds = []
    for band_seconds, _ in contender.bands(batch_size):
        seconds.append(band_seconds)
        if stop is not None and stop():
            return None
    return Times(parts=tuple(seconds), total=sum(seconds))


def time_images(contender: Contender, batch_size: int) -> Times:
    """Draws once, up to pixels: the bands, then the decoder as the last part."""
    started = now(contender.device)
    seconds = []
    canvases = []
    for band_seconds, canvas_BCHW in contender.bands(batch_size):
        seconds.append(band_seconds)
        canvases = [canvas_BCHW]
    drawn = now(contender.device)
    contender.decode(*canvases)
    ended = now(contender.device)
    return Times(parts=(*seconds, ended - drawn), total=ended - started)
