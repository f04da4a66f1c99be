"""`nfig bench`: two models side by side in one process, and the ratio of their times.

They take turns, so that a slow minute of the machine meets both; which repetitions count is the
rule of `nfig.speed.clock`. All figures of a table are of one run.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import torch

from nfig.config import Profile, preset_named
from nfig.precision import dtype_named
from nfig.profile import FAST_DTYPE
from nfig.speed.baseline import Label, contender_of
from nfig.speed.clock import Times, measure_in_turn
from nfig.speed.contenders import Contender, EngineContender, time_images
from nfig.speed.machine import MachineLimits, measure_limits
from nfig.speed.memory import MemoryBudget, measure_growth, memory_budget
from nfig.speed.previews import PreviewCost, measure_previews
from nfig.speed.utilisation import time_transformer, transformer_flops


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """What to compare, and how. Raises ValueError that names the bad option."""

    model: str
    against: str
    profile: Profile = "exact"
    """Of the first (nfig.profile); the second draws exactly."""
    baseline: Label = "as_published"
    batch_sizes: tuple[int, ...] = (1,)
    dtype: str = "bf16"
    device: str = "cpu"
    repetitions: int = 15
    """At most; fewer where enough agree."""

    def __post_init__(self) -> None:
        if not self.batch_sizes or min(self.batch_sizes) < 1:
            raise ValueError(f"batch_sizes must be 1 or more each: {self.batch_sizes}")
        if self.repetitions < 3:
            raise ValueError(f"repetitions must be 3 or more: {self.repetitions}")
        quantization = preset_named(self.against).tokenizer.quantization
        if self.baseline == "as_published" and quantization != "area":
            raise ValueError(f"baseline as_published is VAR's way: {self.against} is not VAR")
        preset_named(self.model)
        dtype_named(self.dtype)
        if self.profile == "fast" and self.dtype != FAST_DTYPE:
            raise ValueError(f"dtype must be {FAST_DTYPE} in profile fast: {self.dtype!r}")


@dataclass(frozen=True, kw_only=True)
class SideBySide:
    """One batch size; the first model's times, then the second's."""

    batch_size: int
    first: Times
    second: Times
    transformer: Times
    """The first model's transformer by itself."""
    transformer_gflops: float
    """Its matrix products per second of that time."""

    @property
    def speedup(self) -> float:
        """The second's time over the first's, pixels included."""
        return self.second.total / self.first.total

    @property
    def speedup_per_band(self) -> list[float]:
        """As `speedup`; the decoder, the last part, is no band."""
        pairs = zip(self.first.parts[:-1], self.second.parts[:-1], strict=True)
        return [second / first for first, second in pairs]

    @property
    def disturbed(self) -> bool:
        """Whether the machine was too busy for the figures to be kept."""
        return self.first.disturbed or self.second.disturbed or self.transformer.disturbed

    def to_dict(self) -> dict[str, Any]:
        return {
            "batch_size": self.batch_size,
            "disturbed": self.disturbed,
            "speedup": self.speedup,
            "speedup_per_band": self.speedup_per_band,
            "first": _side(self.first, self.batch_size),
            "second": _side(self.second, self.batch_size),
            "transformer": {
                "seconds": self.transformer.total,
                "seconds_per_band": self.transformer.parts,
                "gflops": self.transformer_gflops,
            },
        }


def _side(times: Times, batch_size: int) -> dict[str, Any]:
    return {
        "seconds": times.total,
        "seconds_per_band": times.parts[:-1],
        "decoder_seconds": times.parts[-1],
        "images_per_second": batch_size / times.total,
    }


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One run of `nfig bench`."""

    options: BenchOptions
    limits: MachineLimits
    results: Sequence[SideBySide]
    budget: MemoryBudget
    """Of the first model, at the largest batch."""
    previews: PreviewCost
    """Of the first model, at the first batch size."""
    grown_bytes: int
    """By how much a process of its own grew at most for the same, beyond an imported torch."""

    def to_dict(self) -> dict[str, Any]:
        """`speedup` and `speedup_per_band` at the top are those of the first batch size."""
        return {
            "date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "speedup": self.results[0].speedup,
            "speedup_per_band": self.results[0].speedup_per_band,
            "options": asdict(self.options),
            "machine": {
                "system": f"{platform.system()} {platform.machine()}",
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                **asdict(self.limits),
            },
            "memory": {
                **asdict(self.budget),
                "total": self.budget.total,
                "grown": self.grown_bytes,
            },
            "previews": asdict(self.previews),
            "results": [self._result(each) for each in self.results],
        }

    def _result(self, result: SideBySide) -> dict[str, Any]:
        values = result.to_dict()
        values["transformer"]["of_matmul_rate"] = result.transformer_gflops / self.limits.gflops
        return values


def compare(options: BenchOptions) -> Comparison:
    """What `nfig bench` does."""
    device, dtype = torch.device(options.device), dtype_named(options.dtype)
    first_config = replace(preset_named(options.model), profile=options.profile)
    second_config = preset_named(options.against)
    limits = measure_limits(device, dtype)
    largest = max(options.batch_sizes)
    grown = measure_growth(
        first_config, batch_size=largest, dtype=options.dtype, device=options.device
    )
    first = EngineContender.random(first_config, device=device, dtype=options.dtype)
    budget = memory_budget(first.model, first_config, batch_size=largest, dtype=dtype)
    previews = measure_previews(first, options.batch_sizes[0], repetitions=options.repetitions)
    second = contender_of(options.baseline, second_config, device=device, dtype=options.dtype)
    results = [_side_by_side(size, first, second, options) for size in options.batch_sizes]
    return Comparison(
        options=options,
        limits=limits,
        results=results,
        budget=budget,
        previews=previews,
        grown_bytes=grown,
    )


def _side_by_side(
    batch_size: int, first: EngineContender, second: Contender, options: BenchOptions
) -> SideBySide:
    runs = [
        partial(time_images, first, batch_size),
        partial(time_images, second, batch_size),
        partial(time_transformer, first.model, batch_size),
    ]
    times = measure_in_turn(runs, limit=options.repetitions)
    flops = transformer_flops(first.config, batch_size=batch_size)
    return SideBySide(
        batch_size=batch_size,
        first=times[0],
        second=times[1],
        transformer=times[2],
        transformer_gflops=flops / times[2].total / 1e9,
    )
