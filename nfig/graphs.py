"""CUDA graphs: a band's many small kernels recorded once per batch size, then launched as one.

NOT YET RUN ON A GPU. Tests record with a stand-in, on a CPU and on the shapes-only device of torch;
whether a real graph can be captured and is faster, `nfig bench --device cuda` is to show.

A graph replays kernels at the addresses they had. So its inputs are copied into memory of its own,
its outputs out of it, and what it keeps between bands (`Turn.memory`) is allocated once. Elsewhere
than on CUDA nothing is recorded: the very same function is called.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

import torch
from torch import Tensor

WARM_UPS = 3
"""Runs before a capture, in which libraries make what they may not make during one."""

Memory = TypeVar("Memory")
Function = Callable[..., tuple[Tensor, ...]]
"""Takes tensors and nothing that only the host knows."""


class Backend(Protocol):
    """What records."""

    device: torch.device

    def record(
        self, function: Callable[[], tuple[Tensor, ...]]
    ) -> tuple[Callable[[], None], tuple[Tensor, ...]]:
        """Runs the function; gives what repeats it, and the outputs that each replay overwrites."""
        ...


class CUDABackend:
    """All graphs share memory: one is replayed at a time, and its outputs are copied at once."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._pool = torch.cuda.graph_pool_handle()

    def record(
        self, function: Callable[[], tuple[Tensor, ...]]
    ) -> tuple[Callable[[], None], tuple[Tensor, ...]]:
        with torch.cuda.device(self.device):
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(WARM_UPS):
                    function()
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._pool):
                outputs = function()
        return graph.replay, outputs


@dataclass(frozen=True, kw_only=True, eq=False)
class _Recording:
    inputs: tuple[Tensor, ...]
    replay: Callable[[], None]
    outputs: tuple[Tensor, ...]


class Graphs:
    """Those of one model, whose weights must stay where they are; one generation at a time."""

    def __init__(self, backend: Backend | None) -> None:
        """Without a backend nothing is recorded."""
        self._backend = backend
        self._memories: dict[Hashable, Any] = {}
        self._recordings: dict[Hashable, _Recording] = {}
        self._turn: Turn | None = None

    @classmethod
    def on(cls, device: torch.device) -> Self:
        """Recorded on CUDA, called directly elsewhere."""
        return cls(CUDABackend(device) if device.type == "cuda" else None)

    def begin(self) -> Turn:
        """Ends the generation before this one, whose memory is used again."""
        self._turn = Turn(self)
        return self._turn

    def _record(
        self, backend: Backend, function: Function, given: tuple[Tensor, ...]
    ) -> _Recording:
        inputs = tuple(tensor.to(backend.device, copy=True) for tensor in given)
        replay, outputs = backend.record(lambda: function(*inputs))
        return _Recording(inputs=inputs, replay=replay, outputs=outputs)


class Turn:
    """One generation's use of the graphs."""

    def __init__(self, graphs: Graphs) -> None:
        self._graphs = graphs
        self._key: Hashable = None

    def memory(self, key: Hashable, new: Callable[[], Memory]) -> Memory:
        """What the functions read and write beside inputs and outputs, the same for equal keys."""
        if self._graphs._backend is None:
            return new()
        self._key = key
        if key not in self._graphs._memories:
            self._graphs._memories[key] = new()
        memory: Memory = self._graphs._memories[key]
        return memory

    def run(self, band: int, function: Function, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """`function(*inputs)`, recorded at its first call for this memory and band.

        Raises RuntimeError where another generation has begun since.
        """
        graphs, key = self._graphs, (self._key, band)
        if graphs._backend is None:
            return function(*inputs)
        if graphs._turn is not self:
            raise RuntimeError("another generation has begun with these graphs")
        if key not in graphs._recordings:
            graphs._recordings[key] = graphs._record(graphs._backend, function, inputs)
        recording = graphs._recordings[key]
        for tensor, given in zip(recording.inputs, inputs, strict=True):
            tensor.copy_(given)
        recording.replay()
        return tuple(tensor.clone() for tensor in recording.outputs)
