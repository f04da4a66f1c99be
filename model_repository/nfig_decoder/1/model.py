"""Triton's side of the decoder: canvases in, pixels out, one batch per call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils

from nfig.export.exporter import verified_folder
from nfig.export.served_model import ServedModel

Canvas = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        folder = Path(args["model_repository"]) / args["model_version"]
        gpu = args["model_instance_kind"] == "GPU"
        device = f"cuda:{args['model_instance_device_id']}" if gpu else "cpu"
        self.model = ServedModel.load(verified_folder(folder), device=device)
        # The first run is far slower than the rest.
        self.model.decode(np.zeros((1, *self.model.canvas_shape), np.float32))

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """One response per request, an error where its canvas is not one of this model."""
        canvases = [self._read(request) for request in requests]
        good = [canvas for canvas in canvases if canvas is not None]
        answers = iter(self._decode(good) if good else ())
        return [self._refusal() if canvas is None else next(answers) for canvas in canvases]

    def _decode(self, canvases: Sequence[Canvas]) -> list[Any]:
        pixels = self.model.decode(np.concatenate(canvases))
        ends = np.cumsum([len(canvas) for canvas in canvases])
        return [self._answer(part) for part in np.split(pixels, ends[:-1])]

    def _read(self, request: Any) -> Canvas | None:
        canvas: Canvas = pb_utils.get_input_tensor_by_name(request, "canvas").as_numpy()
        right = canvas.shape[1:] == self.model.canvas_shape and np.isfinite(canvas).all()
        return canvas if right else None

    def _answer(self, pixels: Pixels) -> Any:
        digests = np.full((len(pixels), 1), self.model.digest.encode(), object)
        tensors = [pb_utils.Tensor("pixels", pixels), pb_utils.Tensor("digest", digests)]
        return pb_utils.InferenceResponse(output_tensors=tensors)

    def _refusal(self) -> Any:
        message = f"canvas must be finite and of shape {self.model.canvas_shape}"
        error = pb_utils.TritonError(message, pb_utils.TritonError.INVALID_ARG)
        return pb_utils.InferenceResponse(error=error)
