"""`python -m benchmarks.invariance`: is a generation the same at any batch size, and at what price?

Every seed is drawn alone, then again in batches of each size: shuffled anew, so that rows and
neighbours differ, and in every other batch beside a neighbour that is cancelled after a band. Each
batch is drawn twice, one way after the other: as the service does it, and unconstrained, with
products of all rows at once and without padding.

Shape legend: B batch rows, L all tokens of an image.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
import typer

from benchmarks.reports import Report, milliseconds
from nfig.export.served_model import ServedModel
from nfig.generation import Generation, generate
from nfig.int8 import Activation
from nfig.transformer.linear import SteadyLinear, product

CHECKPOINT = Path("checkpoints/avatars-64")
BATCH_SIZES = (1, 2, 7, 8, 16)
_SAMPLINGS: Sequence[dict[str, Any]] = (
    {"guidance_scale": 1.5, "top_k": 0, "top_p": 1.0, "temperature": 1.0},
    {"guidance_scale": 4.5, "top_k": 40, "top_p": 0.95, "temperature": 1.0},
    {"guidance_scale": 0.0, "top_k": 0, "top_p": 0.9, "temperature": 0.7},
)
"""Those of neighbours differ, too."""
_LINEAR = ("block", "linear", "transformer")
"""Modules that know the steady linear layer."""

Tokens = npt.NDArray[np.int64]
IsAlive = Callable[[int], bool]
Draw = Callable[[ServedModel, Sequence[Generation], IsAlive], Iterator[Sequence[Tokens | None]]]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Seeds in rows."""

    seeds: Sequence[int]
    cancelled_row: int | None = None
    bands_before: int = 0
    """How many bands the row that is cancelled still draws."""

    def wants(self, row: int, band: int) -> bool:
        return row != self.cancelled_row or band < self.bands_before


def measure(*, seeds: int, batch_sizes: Sequence[int], checkpoint: Path, device: str) -> Report:
    served = ServedModel.load(checkpoint, device=device)
    served.warm_up()
    alone = {seed: _drawn(served, Batch(seeds=[seed]), as_served)[0] for seed in range(seeds)}
    alone_plain = {seed: _drawn(served, Batch(seeds=[seed]), plainly)[0] for seed in range(seeds)}
    rows = [_row(served, size, alone, alone_plain) for size in batch_sizes]
    differ = sum(row["differ"] for row in rows)
    return Report(
        name="invariance",
        parameters={
            "seeds": seeds,
            "checkpoint": served.config.name,
            "digest": served.digest,
            "device": device,
            "threads": torch.get_num_threads(),
            "torch": str(torch.__version__),
        },
        rows=rows,
        verdict=f"demanded: no token differs as served; met: {differ == 0}",
    )


def _row(
    served: ServedModel, size: int, alone: dict[int, Tokens], alone_plain: dict[int, Tokens]
) -> dict[str, Any]:
    compared = differ = differ_plain = 0
    seconds, seconds_plain = [], []
    for batch in shuffled(len(alone), size, num_bands=served.model.num_bands):
        tokens_BL, took = _timed(served, batch, as_served)
        plain_BL, took_plain = _timed(served, batch, plainly)
        seconds.append(took)
        seconds_plain.append(took_plain)
        for row, seed in enumerate(batch.seeds):
            if row != batch.cancelled_row:
                compared += len(tokens_BL[row])
                differ += int((tokens_BL[row] != alone[seed]).sum())
                differ_plain += int((plain_BL[row] != alone_plain[seed]).sum())
    ratios = [ours / plain for ours, plain in zip(seconds, seconds_plain, strict=True)]
    return {
        "batch": size,
        "tokens compared": compared,
        "differ": differ,
        "differ unconstrained": differ_plain,
        "p50 ms": milliseconds(median(seconds)),
        "unconstrained p50 ms": milliseconds(median(seconds_plain)),
        "p50 ratio": round(median(ratios), 3),
    }


def shuffled(num_seeds: int, size: int, *, num_bands: int) -> Iterator[Batch]:
    """All seeds, each once; whoever is cancelled is an extra one."""
    order = random.Random(size)  # noqa: S311, nothing to guess here
    seeds = list(range(num_seeds))
    order.shuffle(seeds)
    stranger = num_seeds
    cancelling = False
    while seeds:
        if cancelling and size > 1:
            rows, seeds = seeds[: size - 1], seeds[size - 1 :]
            place = order.randint(0, len(rows))
            rows.insert(place, stranger)
            stranger += 1
            bands = order.randrange(1, num_bands)
            yield Batch(seeds=rows, cancelled_row=place, bands_before=bands)
        else:
            yield Batch(seeds=seeds[:size])
            seeds = seeds[size:]
        cancelling = not cancelling


def as_served(
    served: ServedModel, generations: Sequence[Generation], is_alive: IsAlive
) -> Iterator[Sequence[Tokens | None]]:
    for step in served.draw(generations, is_alive=is_alive):
        yield [None if row is None else row.tokens.astype(np.int64) for row in step.rows]


def plainly(
    served: ServedModel, generations: Sequence[Generation], is_alive: IsAlive
) -> Iterator[Sequence[Tokens | None]]:
    """To be drained at once: meanwhile, linear layers have no tiles."""
    with ExitStack() as stack:
        for module in _LINEAR:
            name = f"nfig.transformer.{module}.steady_linear"
            stack.enter_context(patch(name, _plain_linear))
        stack.enter_context(patch("nfig.transformer.block.steady_pair", _plain_pair))
        for step in generate(served.model, generations, is_alive=is_alive):
            yield list(step.tokens_Bl.cpu().numpy())


def _plain_linear(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    activation: Activation = "none",
) -> torch.Tensor:
    if weight.is_mkldnn:
        return product(weight, bias, activation, x)
    y = F.linear(x, weight, bias)
    return F.gelu(y, approximate="tanh") if activation == "gelu" else y


def _plain_pair(x: torch.Tensor, first: SteadyLinear, second: SteadyLinear) -> torch.Tensor:
    between = _plain_linear(x, first.weight, first.bias, "gelu")
    return _plain_linear(between, second.weight, second.bias)


def _timed(served: ServedModel, batch: Batch, draw: Draw) -> tuple[list[Tokens], float]:
    began = time.perf_counter()
    tokens_BL = _drawn(served, batch, draw)
    return tokens_BL, time.perf_counter() - began


def _drawn(served: ServedModel, batch: Batch, draw: Draw) -> list[Tokens]:
    """Of each row all tokens that it has drawn."""
    generations = [_generation(seed, served) for seed in batch.seeds]
    steps: list[Sequence[Tokens | None]] = []
    for step in draw(served, generations, lambda row: batch.wants(row, len(steps))):
        steps.append(step)
    rows = [[step[row] for step in steps] for row in range(len(generations))]
    return [np.concatenate([band for band in row if band is not None]) for row in rows]


def _generation(seed: int, served: ServedModel) -> Generation:
    label = seed % served.config.transformer.num_classes
    return Generation(class_label=label, seed=seed, **_SAMPLINGS[seed % len(_SAMPLINGS)])


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Images, from seed 0 on.")] = 1000,
    threads: Annotated[int, typer.Option(min=0, help="Of torch; 0: as it likes.")] = 0,
    checkpoint: Annotated[Path, typer.Option(help="Folder of the model.")] = CHECKPOINT,
    device: Annotated[str, typer.Option(help="Where it is drawn.")] = "cpu",
) -> None:
    """Tokens that depend on the batch, and the price of there being none."""
    if threads:
        torch.set_num_threads(threads)
    report = measure(seeds=seeds, batch_sizes=BATCH_SIZES, checkpoint=checkpoint, device=device)
    report.publish()


if __name__ == "__main__":
    typer.run(main)
