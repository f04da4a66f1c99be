"""`python -m benchmarks.decoder_runtimes`: the decoder in PyTorch and in ONNX Runtime, on a core.

The two take turns; only their ratio means anything on a machine that others use. Told as well: how
many values of the pictures differ between the two, and whether a picture depends on its neighbours.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
import typer

from benchmarks.drawers import CHECKPOINT
from benchmarks.reports import Report, milliseconds
from nfig.export.served_model import ServedModel
from nfig.generation import Generation
from nfig.images import to_pixels

BATCH_SIZES = (1, 16)

Canvases = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
Decode = Callable[[Canvases], Pixels]


def canvases_of(served: ServedModel, count: int) -> Canvases:
    """Of images that the model draws, (B, C, H, W)."""
    sampling = served.config.sampling
    generations = [
        Generation.with_sampling(
            sampling, class_label=seed % len(served.config.class_names), seed=seed
        )
        for seed in range(count)
    ]
    *_, last = served.draw(generations)
    return np.stack([row.canvas for row in last.rows if row is not None])


def in_onnx_runtime(served: ServedModel) -> Decode:
    """The same network, on one thread. Needs the extra `export`."""
    import onnxruntime

    example = torch.zeros(1, *served.canvas_shape)
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "decoder.onnx")
        torch.onnx.export(
            served.model.tokenizer.decoder,
            (example,),
            file,
            input_names=["canvas"],
            output_names=["pixels"],
            dynamic_axes={"canvas": {0: "B"}, "pixels": {0: "B"}},
            dynamo=False,
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def decode(canvas_BCHW: Canvases) -> Pixels:
        (pixels,) = session.run(None, {"canvas": canvas_BCHW})
        return to_pixels(torch.from_numpy(pixels))

    return decode


def measure(*, rounds: int) -> Report:
    torch.set_num_threads(1)
    served = ServedModel.load(CHECKPOINT)
    canvases = canvases_of(served, max(BATCH_SIZES))

    def in_torch(canvas_BCHW: Canvases) -> Pixels:
        return served.decode(canvas_BCHW, [None] * len(canvas_BCHW))

    in_onnx = in_onnx_runtime(served)
    here, there = in_torch(canvases), in_onnx(canvases)
    alone = np.concatenate([in_onnx(canvas[None]) for canvas in canvases])
    rows = [_row(size, (in_torch, in_onnx), canvases[:size], rounds) for size in BATCH_SIZES]
    verdict = (
        f"{np.mean(here != there):.6f} of all values differ, by {_distance(here, there)} at most; "
        f"in ONNX Runtime {np.mean(there != alone):.6f} differ between a batch and a single canvas"
    )
    return Report(
        name="decoder-runtimes", parameters={"rounds": rounds}, rows=rows, verdict=verdict
    )


def _row(size: int, ways: Sequence[Decode], canvases: Canvases, rounds: int) -> dict[str, Any]:
    pairs = [tuple(_seconds(decode, canvases) for decode in ways) for _ in range(rounds + 1)][1:]
    return {
        "batch": size,
        "PyTorch ms/image": milliseconds(median(torch_ for torch_, _ in pairs) / size),
        "ONNX Runtime ms/image": milliseconds(median(onnx for _, onnx in pairs) / size),
        "ONNX / PyTorch": round(median(onnx / torch_ for torch_, onnx in pairs), 3),
    }


def _seconds(decode: Decode, canvases: Canvases) -> float:
    """On a core."""
    began = time.process_time()
    decode(canvases)
    return time.process_time() - began


def _distance(first: Pixels, second: Pixels) -> int:
    return int(np.abs(first.astype(np.int16) - second.astype(np.int16)).max())


def main(rounds: Annotated[int, typer.Option(help="Turns that each takes.")] = 25) -> None:
    """Time on a core of both, and how far their pictures are apart."""
    measure(rounds=rounds).publish()


if __name__ == "__main__":
    typer.run(main)
