"""Triton's side of the transformer: the whole band loop for one batch of requests.

`execute` holds the batch to its end (returning early would let Triton start tiny batches), answers
each request after every band, and notices between bands who has cancelled.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils

from nfig.export.band_metrics import BandMetrics
from nfig.export.callers import Audience, Caller, Values, values_of_band, values_of_row
from nfig.export.exporter import verified_folder
from nfig.export.idle_baseline import IdleBaseline
from nfig.export.quiet import Quiet
from nfig.export.served_model import ServedBand, ServedModel
from nfig.generation import Generation


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
        callers = [Caller(request, pb_utils) for request in requests]
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
        audience = Audience([caller for caller, _ in rows])
        generations = [generation for _, generation in rows]
        # A response waits until Triton has taken it; meanwhile the next band is drawn.
        with ThreadPoolExecutor(1, "nfig-send") as sender:
            sendings = []
            for step in self.model.draw(generations, is_alive=audience.has):
                self.metrics.observe(step, self.model.baseline)
                sendings.append(sender.submit(self._send, step, rows))
                audience.next_band()
        for sending in sendings:
            sending.result()

    def _send(self, step: ServedBand, rows: Sequence[tuple[Caller, Generation]]) -> None:
        shared = _tensors(values_of_band(step, self.model.digest))
        for (caller, generation), row in zip(rows, step.rows, strict=True):
            if row is not None:
                last = step.band + 1 == generation.bands
                caller.send([*shared, *_tensors(values_of_row(row))], last=last)

    def finalize(self) -> None:
        self.quiet.close()


def _tensors(values: Values) -> list[Any]:
    return [pb_utils.Tensor(name, value) for name, value in values.items()]
