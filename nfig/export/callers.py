"""Those who have asked Triton's transformer for a generation each, and share a batch.

Triton's module lives in its own process alone, so it is handed in. Every question and every answer
is a way to the server's process and back, 80 of them for 16 images of 5 bands: nothing is asked or
sent twice.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nfig.export.contract import BASELINES, TRANSFORMER
from nfig.export.generation_tensors import read_generation
from nfig.export.served_model import ServedBand, ServedRow
from nfig.generation import Generation

Values = Mapping[str, npt.NDArray[Any]]


class Caller:
    """One request: who gets the bands of one row.

    One thread draws and asks, another sends: Triton forgets a request with its last response, so
    nothing may be asked while one is on its way.
    """

    def __init__(self, request: Any, triton: Any) -> None:
        """`triton` is `triton_python_backend_utils`."""
        self._request = request
        self._triton = triton
        self._sender = request.get_response_sender()
        self._lock = threading.Lock()
        self.open = True

    def read(self, grid_sides: Sequence[int]) -> Generation:
        """Raises ValueError that names the bad field."""
        names = [spec.name for spec in TRANSFORMER.inputs]
        read = self._triton.get_input_tensor_by_name
        tensors = {name: read(self._request, name).as_numpy() for name in names}
        return read_generation(tensors, grid_sides)

    def listens(self) -> bool:
        """Asks Triton."""
        with self._lock:
            return self.open and not self._request.is_cancelled()

    def send(self, tensors: Sequence[Any], *, last: bool) -> None:
        """Unless it has left: a response on a cancelled stream can leak or crash Triton's gRPC."""
        with self._lock:
            if not self.open:
                return
            if self._request.is_cancelled():
                self._send_last(None)
                return
            response = self._triton.InferenceResponse(output_tensors=tensors)
            if last:
                self._send_last(response)
            else:
                self._sender.send(response)

    def end(self, error: Any = None) -> None:
        """Unless it has had its last response."""
        with self._lock:
            if self.open:
                self._send_last(error and self._triton.InferenceResponse(error=error))

    def _send_last(self, response: Any) -> None:
        """With the final flag, which every request must get exactly once."""
        self.open = False
        self._sender.send(response, flags=self._triton.TRITONSERVER_RESPONSE_COMPLETE_FINAL)


class Audience:
    """Whether a row is still wanted.

    Before a band one who still listens is enough: the rows of the others are drawn along anyway.
    """

    def __init__(self, callers: Sequence[Caller]) -> None:
        self._callers = callers
        self._found = False

    def next_band(self) -> None:
        self._found = False

    def has(self, row: int) -> bool:
        caller = self._callers[row]
        if self._found:
            return caller.open
        self._found = caller.listens()
        return self._found


def values_of_band(step: ServedBand, digest: str) -> Values:
    """What all rows of the band have in common, made into tensors once for all."""
    baseline = [step.baseline_seconds.get(name, np.nan) for name in BASELINES]
    return {
        "band": np.array([[step.band]], np.int32),
        "seconds": np.array([[step.seconds]], np.float64),
        "batch_size": np.array([[step.batch_size]], np.int32),
        "digest": np.array([[digest.encode()]], object),
        "baseline_seconds": np.array([baseline], np.float64),
    }


def values_of_row(row: ServedRow) -> Values:
    return {"tokens": row.tokens[None], "canvas": row.canvas[None]}
