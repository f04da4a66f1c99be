"""Triton's side of the encoder: pictures in, the tokens of all bands out, one batch per call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils

from nfig.export.exporter import verified_folder
from nfig.export.served_encoder import ServedEncoder

Pixels = npt.NDArray[np.uint8]


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        folder = Path(args["model_repository"]) / args["model_version"]
        gpu = args["model_instance_kind"] == "GPU"
        device = f"cuda:{args['model_instance_device_id']}" if gpu else "cpu"
        self.encoder = ServedEncoder.load(verified_folder(folder), device=device)
        # The first run is far slower than the rest.
        self.encoder.encode(np.zeros((1, *self.encoder.pixels_shape), np.uint8))

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """One response per request, an error where its picture is not one of this model."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        pixels: Pixels = pb_utils.get_input_tensor_by_name(request, "pixels").as_numpy()
        if pixels.shape[1:] != self.encoder.pixels_shape:
            message = f"pixels must be of shape {self.encoder.pixels_shape}"
            error = pb_utils.TritonError(message, pb_utils.TritonError.INVALID_ARG)
            return pb_utils.InferenceResponse(error=error)
        digests = np.full((len(pixels), 1), self.encoder.digest.encode(), object)
        tensors = [
            pb_utils.Tensor("tokens", self.encoder.encode(pixels)),
            pb_utils.Tensor("digest", digests),
        ]
        return pb_utils.InferenceResponse(output_tensors=tensors)
