"""A feature network that the user brings as an ONNX file, such as Inception for ImageNet.

ONNX holds a graph and numbers, no code. What the file must be: one input of images, uint8 or
float32 from 0 to 255, three channels first or last, any number of them at once; the first output
holds the features of each. Resizing and scaling are the file's own.

Shape legend: B batch rows, F features, 3YX RGB image in [-1, 1].
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

TYPES = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}


class OnnxNetwork:
    """Raises ValueError if the file is not such a network, or cannot take images of this side."""

    def __init__(self, file: Path, *, image_size: int) -> None:
        self._session = _session(file)
        if len(inputs := self._session.get_inputs()) != 1:
            raise ValueError(f"network: {file} must have one input, it has {len(inputs)}")
        self._name, shape = inputs[0].name, inputs[0].shape
        if inputs[0].type not in TYPES:
            raise ValueError(f"network: {file} takes {inputs[0].type}, not uint8 or float")
        self._type = TYPES[inputs[0].type]
        first = [None, 3, image_size, image_size]
        last = [None, image_size, image_size, 3]
        if not (_fits(shape, first) or _fits(shape, last)):
            raise ValueError(
                f"network: {file} takes images of shape {shape}, not any number of {first[1:]} "
                f"or {last[1:]}"
            )
        self._channels_last = not _fits(shape, first)

    def __call__(self, images_B3YX: Tensor) -> Tensor:
        """Features (B, F)."""
        levels = images_B3YX.add(1).mul(127.5).round()
        if self._channels_last:
            levels = levels.movedim(1, -1)
        given = np.ascontiguousarray(levels.numpy().astype(self._type))
        features = torch.from_numpy(self._session.run(None, {self._name: given})[0])
        return features.float().flatten(1)


def _session(file: Path) -> Any:
    if not file.is_file():
        raise ValueError(f"network: no file {file}")
    try:
        import onnxruntime
    except ImportError:
        raise ValueError(
            "network: onnxruntime is not installed; it is in the extra `export`"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no class of its own for a bad file
        reason = str(error).partition("\n")[0]
        raise ValueError(f"network: {file} is not an ONNX network ({reason})") from None


def _fits(shape: list[int | str | None], wanted: list[int | None]) -> bool:
    """A name or nothing in the file's shape stands for any number."""
    if len(shape) != len(wanted):
        return False
    pairs = zip(shape, wanted, strict=True)
    return all(not isinstance(size, int) or size == given for size, given in pairs)
