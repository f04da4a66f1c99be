"""What the baselines take on this very host, kept beside the model whose speed they are for.

A file that was measured on another host, for another checkpoint, device, dtype or number of threads
is as good as none: speed is compared with like, or not at all.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch

from nfig.export.contract import BASELINES, BATCH_SIZES

FILE = "baseline.json"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where, and beside what, a baseline was measured."""

    digest: str
    """Of the checkpoint that is served."""
    host: str
    """Its name and its processor: a name alone may move to another machine."""
    device: str
    dtype: str
    threads: int

    @classmethod
    def here(cls, *, digest: str, device: torch.device, dtype: torch.dtype) -> Self:
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        return cls(
            digest=digest,
            host=f"{platform.node()}, {os.cpu_count()} x {_processor()}",
            device=name,
            dtype=str(dtype).removeprefix("torch."),
            threads=torch.get_num_threads(),
        )


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Seconds of each baseline by batch size and band."""

    place: Place
    date: str
    """ISO 8601, UTC."""
    models: Mapping[str, str]
    """What each baseline is, by its name of `BASELINES`."""
    seconds: Mapping[str, Mapping[int, tuple[float, ...]]]
    """By the name of the baseline and the padded batch size: of each band."""

    def seconds_of(self, band: int, batch_size: int) -> dict[str, float]:
        """What each baseline takes for this band; empty for a batch size that was not measured."""
        return {
            name: by_size[batch_size][band]
            for name, by_size in self.seconds.items()
            if batch_size in by_size
        }

    def to_json(self) -> dict[str, Any]:
        baselines = {
            name: {
                "model": self.models[name],
                "seconds": {str(size): list(bands) for size, bands in by_size.items()},
            }
            for name, by_size in self.seconds.items()
        }
        return {**asdict(self.place), "date": self.date, "baselines": baselines}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], *, num_bands: int) -> Self:
        """Raises ValueError that says what is wrong."""
        try:
            place = Place(**{name: values[name] for name in Place.__dataclass_fields__})
            given = {name: values["baselines"][name] for name in BASELINES}
            seconds = {
                name: {int(size): tuple(map(float, bands)) for size, bands in each.items()}
                for name, each in ((name, entry["seconds"]) for name, entry in given.items())
            }
            models = {name: str(entry["model"]) for name, entry in given.items()}
            date = str(values["date"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it is not whole: {error!r}") from None
        for by_size in seconds.values():
            if tuple(sorted(by_size)) != BATCH_SIZES:
                raise ValueError(f"it has batch sizes {sorted(by_size)}, not {BATCH_SIZES}")
            for bands in by_size.values():
                if len(bands) != num_bands or min(bands) <= 0:
                    raise ValueError(f"it has {bands} seconds where {num_bands} bands are drawn")
        return cls(place=place, date=date, models=models, seconds=seconds)


def read_baseline(folder: Path, *, here: Place, num_bands: int) -> Baseline | None:
    """What was measured here before; None if nothing was. Raises ValueError for a broken file."""
    try:
        text = (folder / FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        baseline = Baseline.from_json(json.loads(text), num_bands=num_bands)
    except ValueError as error:
        raise ValueError(f"{folder / FILE}: {error}") from None
    return baseline if baseline.place == here else None


def write_baseline(folder: Path, baseline: Baseline) -> None:
    """Raises OSError where the folder cannot be written to."""
    partial = folder / f".{FILE}.partial"
    partial.write_text(json.dumps(baseline.to_json(), indent=2) + "\n", encoding="utf-8")
    os.replace(partial, folder / FILE)


@contextmanager
def measuring(folder: Path) -> Iterator[None]:
    """Waits for whoever else measures for this folder: another instance of the same model."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
