"""Where a training computes. Written for GPUs, too, but not run on one yet.

Data, tokens and random choices of rows stay in the memory of the machine; a batch goes to where the
weights are. A state that was saved on one device can be resumed on another, but only on CPUs is a
resumed training bit for bit the one that was never stopped: the random numbers of a GPU are not
saved.
"""

from __future__ import annotations

import os

import torch
from torch import nn


def device_named(name: str) -> torch.device:
    """By a name of `TrainingOptions`: "auto" is a GPU where there is one.

    Each of torchrun's processes on a machine has its own. Raises ValueError if there is none.
    """
    is_there = torch.cuda.is_available()
    if name == "cuda" and not is_there:
        raise ValueError("device: torch sees no GPU here; cpu or auto would do")
    if name == "cpu" or not is_there:
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    # For nccl, which asks what the current one is.
    torch.cuda.set_device(device)
    return device


def device_of(module: nn.Module) -> torch.device:
    """That of its weights."""
    return next(module.parameters()).device
