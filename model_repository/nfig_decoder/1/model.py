"""Triton's side of the decoders: canvases in, pixels out, images and previews in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils

from nfig.export.contract import NO_PREVIEW
from nfig.export.exporter import verified_folder
from nfig.export.served_model import ServedModel

Pixels = npt.NDArray[np.uint8]


class Asked(NamedTuple):
    """What one request wants to see."""

    canvas_BCHW: npt.NDArray[np.float32]
    previews_of: Sequence[int | None]


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        folder = Path(args["model_repository"]) / args["model_version"]
        gpu = args["model_instance_kind"] == "GPU"
        device = f"cuda:{args['model_instance_device_id']}" if gpu else "cpu"
        self.model = ServedModel.load(verified_folder(folder), device=device)
        self.model.warm_up_decoders()

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """One response per request, an error where it is none of this model's."""
        read = [self._read(request) for request in requests]
        good = [each for each in read if isinstance(each, Asked)]
        answers = iter(self._decode(good) if good else ())
        return [next(answers) if isinstance(each, Asked) else _refusal(each) for each in read]

    def _decode(self, asked: Sequence[Asked]) -> list[Any]:
        previews_of = list(chain.from_iterable(each.previews_of for each in asked))
        canvas_BCHW = np.concatenate([each.canvas_BCHW for each in asked])
        pixels = self.model.decode(canvas_BCHW, previews_of)
        ends = np.cumsum([len(each.previews_of) for each in asked])
        return [self._answer(part) for part in np.split(pixels, ends[:-1])]

    def _read(self, request: Any) -> Asked | str:
        """Or what is wrong with it."""
        canvas_BCHW = pb_utils.get_input_tensor_by_name(request, "canvas").as_numpy()
        bands = pb_utils.get_input_tensor_by_name(request, "preview_of").as_numpy()
        shape, last = self.model.canvas_shape, self.model.model.num_bands - 1
        if canvas_BCHW.shape[1:] != shape or not np.isfinite(canvas_BCHW).all():
            return f"canvas must be finite and of shape {shape}"
        if (
            bands.shape != (len(canvas_BCHW), 1)
            or not ((bands >= NO_PREVIEW) & (bands <= last)).all()
        ):
            return f"preview_of must be a band from 0 to {last} for each canvas, or {NO_PREVIEW}"
        previews_of = [None if band == NO_PREVIEW else band for band in bands[:, 0].tolist()]
        return Asked(canvas_BCHW=canvas_BCHW, previews_of=previews_of)

    def _answer(self, pixels: Pixels) -> Any:
        digests = np.full((len(pixels), 1), self.model.digest.encode(), object)
        tensors = [pb_utils.Tensor("pixels", pixels), pb_utils.Tensor("digest", digests)]
        return pb_utils.InferenceResponse(output_tensors=tensors)


def _refusal(message: str) -> Any:
    error = pb_utils.TritonError(message, pb_utils.TritonError.INVALID_ARG)
    return pb_utils.InferenceResponse(error=error)
