"""Triton's side of the transformer: the whole band loop for one batch of requests.

`execute` holds the batch to its end (returning early would let Triton start tiny batches), answers
each request after every band, and notices between bands who has cancelled.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils

from nfig.export.band_metrics import BandMetrics
from nfig.export.contract import BASELINES, TRANSFORMER
from nfig.export.exporter import verified_folder
from nfig.export.generation_tensors import read_generation
from nfig.export.idle_baseline import IdleBaseline
from nfig.export.quiet import Quiet
from nfig.export.served_model import ServedBand, ServedModel, ServedRow
from nfig.generation import Generation


class Caller:
    """One request: who gets the bands of one row."""

    def __init__(self, request: Any) -> None:
        self.request = request
        self.sender = request.get_response_sender()
        self.open = True

    def read(self, grid_sides: Sequence[int]) -> Generation:
        """Raises ValueError that names the bad field."""
        names = [spec.name for spec in TRANSFORMER.inputs]
        read = pb_utils.get_input_tensor_by_name
        tensors = {name: read(self.request, name).as_numpy() for name in names}
        return read_generation(tensors, grid_sides)

    def is_alive(self) -> bool:
        if self.open and self.request.is_cancelled():
            self.end()
        return self.open

    def send(self, tensors: Sequence[Any], *, last: bool) -> None:
        response = pb_utils.InferenceResponse(output_tensors=tensors)
        if last:
            self._send_last(response)
        else:
            self.sender.send(response)

    def end(self, error: Any = None) -> None:
        """Unless it has had its last response."""
        if self.open:
            self._send_last(error and pb_utils.InferenceResponse(error=error))

    def _send_last(self, response: Any) -> None:
        """With the final flag, which every request must get exactly once."""
        self.open = False
        self.sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)


class Audience:
    """Those who share a batch. Each question to Triton costs a way there and back.

    Before a band one who still listens is enough: the rows of the others are drawn along anyway.
    Before a response each is asked, as one on a cancelled stream can leak or crash Triton's gRPC.
    """

    def __init__(self, callers: Sequence[Caller]) -> None:
        self._callers = callers
        self._found = False

    def next_band(self) -> None:
        self._found = False

    def has(self, row: int) -> bool:
        caller = self._callers[row]
        self._found = self._found or caller.is_alive()
        return caller.open


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        folder = Path(args["model_repository"]) / args["model_version"]
        gpu = args["model_instance_kind"] == "GPU"
        device = f"cuda:{args['model_instance_device_id']}" if gpu else "cpu"
        self.model = ServedModel.load(verified_folder(folder), device=device)
        self.model.warm_up()
        num_bands = self.model.model.num_bands
        self.metrics = BandMetrics(pb_utils.MetricFamily, self.model.config.name, num_bands)
        self.quiet = Quiet()
        mode = os.environ.get("NFIG_BASELINE", "idle")
        IdleBaseline(self.model, folder, self.quiet, mode=mode).start()

    def execute(self, requests: Sequence[Any]) -> None:
        callers = [Caller(request) for request in requests]
        try:
            with self.quiet.at_work():
                self._draw(callers)
        except Exception as error:  # the callers must hear of it, whatever it is
            for caller in callers:
                caller.end(pb_utils.TritonError(str(error), pb_utils.TritonError.INTERNAL))
        finally:
            for caller in callers:
                caller.end()

    def _draw(self, callers: Sequence[Caller]) -> None:
        rows: list[tuple[Caller, Generation]] = []
        for caller in callers:
            try:
                generation = caller.read(self.model.config.tokenizer.grid_sides)
                generation.check_against(self.model.config)
                rows.append((caller, generation))
            except ValueError as error:  # a bad request must not take its neighbours down
                caller.end(pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG))
        if not rows:
            return
        generations = [generation for _, generation in rows]
        audience = Audience([caller for caller, _ in rows])
        for step in self.model.draw(generations, is_alive=audience.has):
            self.metrics.observe(step, self.model.baseline)
            shared = self._tensors_of(step)
            for (caller, generation), row in zip(rows, step.rows, strict=True):
                if row is not None and caller.is_alive():
                    last = step.band + 1 == generation.bands
                    caller.send([*shared, *_tensors_of(row)], last=last)
            audience.next_band()

    def finalize(self) -> None:
        self.quiet.close()

    def _tensors_of(self, step: ServedBand) -> list[Any]:
        """What all rows of the band have in common, made once for all."""
        baseline = [step.baseline_seconds.get(name, np.nan) for name in BASELINES]
        return _tensors(
            band=np.array([[step.band]], np.int32),
            seconds=np.array([[step.seconds]], np.float64),
            batch_size=np.array([[step.batch_size]], np.int32),
            digest=np.array([[self.model.digest.encode()]], object),
            baseline_seconds=np.array([baseline], np.float64),
        )


def _tensors_of(row: ServedRow) -> list[Any]:
    return _tensors(tokens=row.tokens[None], canvas=row.canvas[None])


def _tensors(**values: npt.NDArray[Any]) -> list[Any]:
    return [pb_utils.Tensor(name, value) for name, value in values.items()]
