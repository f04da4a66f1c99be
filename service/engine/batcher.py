"""A few threads, the lanes, that own a model and let concurrent callers share its batches.

Draws that arrive shortly after one another become one batch, or one for each idle lane; a batch
runs to its end, and between its bands its lane looks at who has left, encodes pictures and decodes
canvases that wait, final images first.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from service.engine.engine import Canvas, DrawnBand, Generation, Pixels, Tokens
from service.errors import EngineUnavailable

logger = logging.getLogger(__name__)

LONGEST_WINDOWS = 5
"""How many windows the first draw of a batch waits at most while others keep coming."""

BatchStep = Sequence[DrawnBand | None]
"""One entry per row: its next band, or None once it has all the bands it asked for."""


class BatchModel(Protocol):
    """What the lanes own; each may call it while others do."""

    def draw(
        self, generations: Sequence[Generation], is_alive: Callable[[int], bool]
    ) -> Iterator[BatchStep]:
        """One step per band. `is_alive(row)` says, between bands, whether a row is still wanted."""

    def decode(
        self, canvases: Sequence[Canvas], previews_of: Sequence[int | None]
    ) -> Sequence[Pixels]:
        """Of each canvas the band that it is a preview of, or None for an image."""

    def encode(self, pixels: Pixels) -> Tokens: ...


@dataclass(kw_only=True, eq=False)
class _Draw:
    """A caller of `draw`; `arrivals` carries bands, then None or an error, to its event loop."""

    generation: Generation
    loop: asyncio.AbstractEventLoop
    arrivals: asyncio.Queue[DrawnBand | Exception | None] = field(default_factory=asyncio.Queue)
    came_at: float = field(default_factory=time.monotonic)
    wanted: bool = True

    def send(self, item: DrawnBand | Exception | None) -> None:
        if not _call_in(self.loop, self.arrivals.put_nowait, item):
            self.wanted = False


@dataclass(kw_only=True, eq=False)
class _Call:
    """A caller who waits for one answer."""

    loop: asyncio.AbstractEventLoop
    result: asyncio.Future[Any]

    def send(self, item: Any) -> None:
        _call_in(self.loop, self._settle, item)

    def _settle(self, item: Any) -> None:
        if self.result.done():  # its caller has left
            return
        if isinstance(item, Exception):
            self.result.set_exception(item)
        else:
            self.result.set_result(item)


@dataclass(kw_only=True, eq=False)
class _Decode(_Call):
    """A caller of `decode`."""

    canvas: Canvas
    preview_of: int | None


@dataclass(kw_only=True, eq=False)
class _Encode(_Call):
    """A caller of `encode`."""

    pixels: Pixels


class Batcher:
    """Starts its lanes at once; `close` ends them."""

    def __init__(
        self,
        model: BatchModel,
        *,
        max_batch: int,
        window_seconds: float,
        lanes: int = 1,
        initializer: Callable[[], object] | None = None,
    ) -> None:
        """`initializer` is what each lane calls first."""
        self._model = model
        self._max_batch = max_batch
        self._window_seconds = window_seconds
        self._changed = threading.Condition()
        self._draws: list[_Draw] = []
        self._decodes: list[_Decode] = []
        self._encodes: list[_Encode] = []
        self._closed = False
        self._idle_lanes = 0
        self._lanes = [
            threading.Thread(
                target=self._run, args=(initializer,), name=f"nfig-lane-{lane}", daemon=True
            )
            for lane in range(lanes)
        ]
        for each in self._lanes:
            each.start()

    @property
    def alive(self) -> bool:
        return all(lane.is_alive() for lane in self._lanes) and not self._closed

    async def draw(self, generation: Generation) -> AsyncGenerator[DrawnBand]:
        draw = _Draw(generation=generation, loop=asyncio.get_running_loop())
        self._submit(draw, self._draws)
        try:
            while (item := await draw.arrivals.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            draw.wanted = False

    async def decode(self, canvas: Canvas, *, preview_of: int | None) -> Pixels:
        loop = asyncio.get_running_loop()
        decode = _Decode(
            canvas=canvas, preview_of=preview_of, loop=loop, result=loop.create_future()
        )
        self._submit(decode, self._decodes)
        pixels: Pixels = await decode.result
        return pixels

    async def encode(self, pixels: Pixels) -> Tokens:
        """Tokens (L,) of all bands."""
        loop = asyncio.get_running_loop()
        encode = _Encode(pixels=pixels, loop=loop, result=loop.create_future())
        self._submit(encode, self._encodes)
        tokens: Tokens = await encode.result
        return tokens

    def close(self) -> None:
        """Ends the running batches at their next band; blocks until the lanes are gone."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for lane in self._lanes:
            lane.join()
        for draw in self._draws:
            draw.send(_closed())
        for call in [*self._decodes, *self._encodes]:
            call.send(_closed())

    def _submit(self, item: Any, queue: list[Any]) -> None:
        with self._changed:
            if self._closed:
                raise _closed()
            queue.append(item)
            self._changed.notify_all()

    def _run(self, initializer: Callable[[], object] | None) -> None:
        if initializer is not None:
            initializer()
        while not self._closed:
            self._run_calls()
            if draws := self._gather():
                self._run_draws(draws)

    def _gather(self) -> list[_Draw]:
        """This lane's share of the draws; empty if something else is to be done first, calls before
        all: they end images, and meanwhile others may join."""
        with self._changed:
            self._idle_lanes += 1
            self._changed.wait_for(lambda: self._closed or self._draws or self._calls_wait())
            while not self._calls_wait() and (seconds := self._seconds_to_wait()) > 0:
                self._changed.wait(seconds)
            share, self._idle_lanes = self._share(), self._idle_lanes - 1
            if self._calls_wait():
                return []
            wanted = [draw for draw in self._draws if draw.wanted]
            batch, self._draws = wanted[:share], wanted[share:]
            return batch

    def _share(self) -> int:
        return min(self._max_batch, math.ceil(len(self._draws) / self._idle_lanes))

    def _seconds_to_wait(self) -> float:
        """Until no draw has come for a window, or the first one has waited for several."""
        if self._closed or not 0 < len(self._draws) < self._max_batch:
            return 0.0
        calm = self._draws[-1].came_at + self._window_seconds
        latest = self._draws[0].came_at + LONGEST_WINDOWS * self._window_seconds
        return min(calm, latest) - time.monotonic()

    def _run_draws(self, draws: Sequence[_Draw]) -> None:
        def is_alive(row: int) -> bool:
            return draws[row].wanted and not self._closed

        last: Exception | None = None
        try:
            for step in self._model.draw([draw.generation for draw in draws], is_alive):
                for draw, drawn in zip(draws, step, strict=True):
                    if drawn is not None and draw.wanted:
                        draw.send(drawn)
                self._run_calls()
            last = _closed() if self._closed else None
        except Exception as error:
            logger.exception("a batch failed")
            last = _failed(error)
        for draw in draws:
            draw.send(last)

    def _calls_wait(self) -> bool:
        return bool(self._decodes or self._encodes)

    def _run_calls(self) -> None:
        self._run_encodes()
        self._run_decodes()

    def _run_encodes(self) -> None:
        with self._changed:
            encodes, self._encodes = self._encodes, []
        for encode in encodes:
            try:
                encode.send(_closed() if self._closed else self._model.encode(encode.pixels))
            except Exception as error:
                logger.exception("encoding failed")
                encode.send(_failed(error))

    def _run_decodes(self) -> None:
        while decodes := self._take_decodes():
            try:
                canvases = [decode.canvas for decode in decodes]
                results = self._model.decode(canvases, [decode.preview_of for decode in decodes])
            except Exception as error:
                logger.exception("decoding failed")
                results = [_failed(error)] * len(decodes)  # type: ignore[list-item]
            for decode, result in zip(decodes, results, strict=True):
                decode.send(result)

    def _take_decodes(self) -> list[_Decode]:
        with self._changed:
            if self._closed:
                return []
            waiting = sorted(self._decodes, key=lambda decode: decode.preview_of is not None)
            batch, self._decodes = waiting[: self._max_batch], waiting[self._max_batch :]
            return batch


def _call_in(loop: asyncio.AbstractEventLoop, function: Callable[..., object], item: Any) -> bool:
    """False if the loop is gone, and with it the caller."""
    try:
        loop.call_soon_threadsafe(function, item)
    except RuntimeError:
        return False
    return True


def _closed() -> EngineUnavailable:
    return EngineUnavailable("the engine is closed", retry_after_s=1.0)


def _failed(error: Exception) -> EngineUnavailable:
    return EngineUnavailable(f"the engine failed: {error}", retry_after_s=1.0)
