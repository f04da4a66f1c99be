"""Where the time of one image goes: told with the image, and observed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from service.engine.engine import DrawnBand
from service.metrics import Metrics

DIGITS = 6
PictureKind = Literal["image", "preview"]


class ImageTiming:
    """Of one try at one image. The parts are named in `service.domain.TIMINGS`."""

    def __init__(self, metrics: Metrics, *, model: str, queue_seconds: float) -> None:
        self._metrics = metrics
        self._model = model
        self._queue = queue_seconds
        self._asked_at = time.monotonic()
        self._batch_waits: list[float] = []
        self._bands = 0.0
        self._picture = {"decode": 0.0, "encode": 0.0}

    def add_band(self, drawn: DrawnBand) -> None:
        """To be told as soon as the band is there."""
        self._bands += drawn.seconds
        # A band can come late, when its successors are drawn already: the most punctual one tells.
        self._batch_waits.append(time.monotonic() - self._asked_at - self._bands)

    @contextmanager
    def part(self, name: Literal["decode", "encode"], kind: PictureKind) -> Iterator[None]:
        """Around that part of a picture's way; of one that failed nothing is noted."""
        started = time.monotonic()
        yield
        seconds = time.monotonic() - started
        histogram = self._metrics.decode if name == "decode" else self._metrics.encode
        histogram.labels(model=self._model, kind=kind).observe(seconds)
        if kind == "image":
            self._picture[name] = seconds

    def parts(self, *, total_seconds: float) -> dict[str, float]:
        """Seconds of each part, once the image is there; without the total no more than it."""
        # A try that came to no band, where one before it had: its wait is not known.
        batch_wait = max(0.0, min(self._batch_waits, default=0.0))
        self._metrics.batch_wait.labels(model=self._model).observe(batch_wait)
        parts = {
            "queue": self._queue,
            "batch_wait": batch_wait,
            "bands": self._bands,
            **self._picture,
            "total": total_seconds,
        }
        return {name: round(seconds, DIGITS) for name, seconds in parts.items()}
