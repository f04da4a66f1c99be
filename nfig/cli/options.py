"""What the commands share: their common options, and how they refuse."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ParamSpec

import typer

from nfig.config import PRESETS, ModelConfig, preset_named

P = ParamSpec("P")

DEFAULT_PRESET = "avatars-64"

Data = Annotated[Path, typer.Option(help="An .npz file with x (uint8, NHWC) and y (labels).")]
Run = Annotated[str, typer.Option(help="Name of the run; an existing one is resumed.")]
Out = Annotated[Path, typer.Option(help="Checkpoint folder to write at the end.")]
Preset = Annotated[str, typer.Option(help="Which model: " + ", ".join(PRESETS) + ".")]
Epochs = Annotated[float | None, typer.Option(help="Times to see the data; or --minutes.")]
Minutes = Annotated[float | None, typer.Option(help="Minutes to train; or --epochs.")]
BatchSize = Annotated[int, typer.Option(help="Images at once, over all processes.")]
Accumulate = Annotated[int, typer.Option(help="Batches whose mean gradient makes one step.")]
CheckpointMinutes = Annotated[float, typer.Option(help="Minutes between saved states.")]
ModelName = Annotated[
    str | None, typer.Option(help="Of the model, as the service lists it; the preset's.")
]
Further = Annotated[
    bool, typer.Option("--further", help="Train on the transformer that the checkpoint has.")
]
SelfCorrection = Annotated[
    float, typer.Option(help="Largest share of tokens that are mistakes of its own, to mend.")
]
ProfileName = Annotated[
    str | None, typer.Option("--profile", help="exact or fast; default: the checkpoint's own.")
]
Recipe = Annotated[str | None, typer.Option(help="Published options, for all that is not given.")]
Compiled = Annotated[
    bool, typer.Option("--compile", help="Faster after a slow start; needs a C++ compiler.")
]
LearningRate = Annotated[float, typer.Option(help="At the peak.")]
Optimizer = Annotated[str, typer.Option(help="adamw or muon.")]
Device = Annotated[str, typer.Option(help="cpu, cuda or auto; nobody has run cuda yet.")]
Seed = Annotated[int, typer.Option(help="Of weights and order of the data.")]


def user_errors(command: Callable[P, None]) -> Callable[P, None]:
    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (ValueError, OSError) as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(2) from None

    return guarded


def preset_of(name: str, num_classes: int | None = None) -> ModelConfig:
    """The preset, for so many classes instead of its own. Raises ValueError for another name."""
    preset = preset_named(name)
    if num_classes is None:
        return preset
    return replace(preset, transformer=replace(preset.transformer, num_classes=num_classes))


def attribution_beside(data: Path) -> str:
    """Data that others made names them in a file beside it, which must travel with the model."""
    file = data.with_name("ATTRIBUTION.md")
    return file.read_text(encoding="utf-8") if file.exists() else ""
