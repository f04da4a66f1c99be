"""Seconds per band of the baselines of a served model, measured where it is served.

Two of one size (`baseline_config`): `as_published`, VAR as its authors run it, and `same_code`, VAR
run as this project runs it, so that the smaller model and the engineering are seen apart.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self, get_args

import torch

from nfig.config import ModelConfig
from nfig.speed.clock import ENOUGH, LIMIT, DisturbedError, Times, typical, undisturbed
from nfig.speed.contenders import Contender, EngineContender, PublishedContender, time_bands
from nfig.speed.sizes import baseline_config

Label = Literal["as_published", "same_code"]
LABELS: tuple[Label, ...] = get_args(Label)


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """One baseline's figures."""

    model: str
    seconds: Mapping[int, tuple[float, ...]]
    """By batch size: one entry per band, pixels left out."""


@dataclass(frozen=True, kw_only=True)
class BaselineReport:
    """What was measured, of what and where."""

    digest: str
    """Of the served model."""
    host: str
    device: str
    dtype: str
    threads: int
    date: str
    """ISO 8601, UTC."""
    baselines: Mapping[str, Baseline]

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises ValueError where the file is not a report."""
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            baselines = {label: _baseline(each) for label, each in values.pop("baselines").items()}
            return cls(baselines=baselines, **values)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"{path} is not a report of baselines: {error!r}") from None


def _baseline(values: dict[str, Any]) -> Baseline:
    seconds = {int(size): tuple(map(float, bands)) for size, bands in values["seconds"].items()}
    return Baseline(model=values["model"], seconds=seconds)


def label_named(name: str) -> Label:
    """Raises ValueError on a name that is none."""
    for label in LABELS:
        if label == name:
            return label
    raise ValueError(f"baseline must be one of {', '.join(LABELS)}: {name!r}")


def contender_of(
    label: Label, config: ModelConfig, *, device: torch.device, dtype: str
) -> Contender:
    """`config` is the baseline's own. Raises ValueError on an unknown dtype."""
    kind = PublishedContender if label == "as_published" else EngineContender
    return kind.random(config, device=device, dtype=dtype)


def measure_band_seconds(
    contender: Contender,
    batch_sizes: Sequence[int],
    *,
    quiet: Callable[[], None] = lambda: None,
    disturbed: Callable[[], bool] = lambda: False,
) -> dict[int, tuple[float, ...]]:
    """Seconds per band by batch size, by the rule of `nfig.speed.clock`.

    `quiet` is called before each repetition and may wait; where `disturbed` is true after a band,
    the repetition is thrown away at once. Raises DisturbedError where too few are left.
    """

    def once(batch_size: int) -> Times | None:
        quiet()
        return time_bands(contender, batch_size, stop=disturbed)

    seconds = {}
    for batch_size in batch_sizes:
        once(batch_size)
        repetitions: list[Times] = []
        for _ in range(LIMIT):
            if (times := once(batch_size)) is not None:
                repetitions.append(times)
            if repetitions and len(undisturbed(repetitions)) >= ENOUGH:
                break
        if not repetitions:
            raise DisturbedError(f"all of {LIMIT} repetitions were disturbed")
        seconds[batch_size] = typical(repetitions).parts
    return seconds


def measure_baselines(
    config: ModelConfig,
    *,
    digest: str,
    batch_sizes: Sequence[int],
    device: str = "cpu",
    dtype: str = "fp32",
    labels: Sequence[Label] = LABELS,
    quiet: Callable[[], None] = lambda: None,
    disturbed: Callable[[], bool] = lambda: False,
) -> BaselineReport:
    """The baselines of a served model; one at a time in memory. As `measure_band_seconds`."""
    sized = baseline_config(config)
    place = torch.device(device)
    baselines: dict[str, Baseline] = {}
    for label in labels:
        contender = contender_of(label, sized, device=place, dtype=dtype)
        seconds = measure_band_seconds(contender, batch_sizes, quiet=quiet, disturbed=disturbed)
        baselines[label] = Baseline(model=sized.name, seconds=seconds)
        del contender
    return BaselineReport(
        digest=digest,
        host=platform.node(),
        device=device,
        dtype=dtype,
        threads=torch.get_num_threads(),
        date=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        baselines=baselines,
    )
