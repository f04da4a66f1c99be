"""What a generation must hold in memory, computed from sizes, and what a process has held."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from nfig.config import ModelConfig
from nfig.int8 import Rounded

FLOAT32_BYTES = 4
STATUS = Path("/proc/self/status")


@dataclass(frozen=True, kw_only=True)
class MemoryBudget:
    """Bytes."""

    weights: int
    cache: int
    """Keys and values of all bands, guidance's second half included."""
    activations: int
    """The larger of the last band's (widest layer, logits) and the decoder's (last layer)."""

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.activations


def memory_budget(
    model: nn.Module, config: ModelConfig, *, batch_size: int, dtype: torch.dtype
) -> MemoryBudget:
    """Of a model as it is, weights in whatever dtype they have."""
    transformer, tokenizer = config.transformer, config.tokenizer
    rows, size = 2 * batch_size, dtype.itemsize
    tensors = [*model.parameters(), *model.buffers()]
    rounded = sum(each.num_bytes for each in model.modules() if isinstance(each, Rounded))
    last_tokens = tokenizer.grid_sides[-1] ** 2
    # The residual stream, one branch, and the MLP's two of four times the width.
    block = rows * last_tokens * transformer.width * size * (2 + 2 * 4)
    logits = 2 * batch_size * last_tokens * tokenizer.codebook_size * FLOAT32_BYTES
    # A residual block's input, what a convolution takes and what it gives: three at full
    # resolution, of one image at a time; in 8 bits also what is rounded.
    value = 3 * size + (1 if rounded else 0)
    pixels = (tokenizer.image_size // tokenizer.patch_side) ** 2 * tokenizer.widths[0] * value
    return MemoryBudget(
        weights=sum(tensor.numel() * tensor.element_size() for tensor in tensors) + rounded,
        cache=2 * transformer.depth * rows * tokenizer.num_tokens * transformer.width * size,
        activations=max(block + logits, pixels),
    )


def peak_bytes(device: torch.device) -> int:
    """The most that this process (its device, where that is a GPU) has held; 0 where unknown."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if sys.platform == "win32":
        return 0
    if STATUS.exists():
        # Not what getrusage says: in a new process that begins with its parent's peak.
        fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        return 1024 * int(fields["VmHWM"].split()[0])
    import resource

    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(usage if sys.platform == "darwin" else usage * 1024)


def measure_growth(config: ModelConfig, *, batch_size: int, dtype: str, device: str) -> int:
    """Bytes by which a process grows at most, from an imported torch to a batch of images.

    A process of its own, so that nothing else is in the figure. Raises RuntimeError if it fails.
    """
    command = [sys.executable, "-m", "nfig.speed.memory_probe"]
    arguments = [config.to_json(), str(batch_size), dtype, device]
    done = subprocess.run(  # noqa: S603, our own program
        [*command, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"memory could not be measured: {done.stderr}")
    return int(done.stdout)
