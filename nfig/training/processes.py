"""What the processes of one training agree on: gradients, statistics, time, and when to stop.

torchrun starts the processes; each holds all weights and sees its share of every batch. Whatever
changes a weight is summed or averaged here first, so the weights stay the same in all of them.
Alone, which is the default, nothing here does anything.

On CPUs they speak gloo. Tensors on GPUs go through nccl, which has not been run on a GPU yet.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn


@contextmanager
def joined() -> Iterator[None]:
    """Joins the processes that torchrun started together with this one, for as long as it lasts."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
        # Together: one that leaves early tears connections from under the others.
        _wait()
    finally:
        distributed.destroy_process_group()


def count() -> int:
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """From 0; the main process is 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def is_main() -> bool:
    """Whether this is the process that writes and speaks."""
    return rank() == 0


@contextmanager
def main_first() -> Iterator[None]:
    """For files that the main process writes and the others then find."""
    if not is_main():
        _wait()
    yield
    if is_main():
        _wait()


def _wait() -> None:
    """For all others. Not by `barrier`, which would want a GPU where there is one."""
    largest(0)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """In place. Every process must have gradients for the same parameters."""
    if count() == 1:
        return
    gradients = [each.grad for each in parameters if each.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= count()
    parts = flat.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def summed(x: Tensor) -> Tensor:
    """The sum over all processes."""
    if count() > 1:
        distributed.all_reduce(x := x.clone())
    return x


def dealt(rows: Tensor) -> Tensor:
    """Row i of process i mod `count()`: the same in all of them, and each has contributed."""
    if count() == 1:
        return rows
    mine = torch.arange(len(rows), device=rows.device) % count() == rank()
    return summed(rows * mine.view(-1, *[1] * (rows.ndim - 1)))


def gathered(x: Tensor) -> Tensor:
    """One row per process."""
    rows = x.new_zeros(count(), *x.shape)
    rows[rank()] = x
    return summed(rows)


def largest(*values: float) -> list[float]:
    """Of each value, the largest in any process."""
    if count() == 1:
        return list(values)
    x = torch.tensor(values, dtype=torch.float64)
    distributed.all_reduce(x, distributed.ReduceOp.MAX)
    return [float(value) for value in x]


def mean_figures(parts: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    """Over the parts of a step, and over all processes."""
    if len(parts) * count() == 1:
        return parts[0]
    x = torch.tensor([list(part.values()) for part in parts], dtype=torch.float64)
    means = summed(x.mean(0)) / count()
    return {name: round(float(value), 4) for name, value in zip(parts[0], means, strict=True)}
