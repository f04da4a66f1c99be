"""The `nfig` command: train, evaluate, publish, sample, export.

Anything wrong with what the user gave ends in one line on stderr and exit code 2.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, ParamSpec

import typer

from nfig.config import PRESETS, ModelConfig

P = ParamSpec("P")

DEFAULT_PRESET = "avatars-64"

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)
train_app = typer.Typer(help="Train a part of a model.", no_args_is_help=True)
app.add_typer(train_app, name="train")

Data = Annotated[Path, typer.Option(help="An .npz file with x (uint8, NHWC) and y (labels).")]
Run = Annotated[str, typer.Option(help="Name of the run; an existing one is resumed.")]
Out = Annotated[Path, typer.Option(help="Checkpoint folder to write at the end.")]
Preset = Annotated[str, typer.Option(help="Which model: " + ", ".join(PRESETS) + ".")]
Epochs = Annotated[float | None, typer.Option(help="Times to see the data; or --minutes.")]
Minutes = Annotated[float | None, typer.Option(help="Minutes to train; or --epochs.")]
BatchSize = Annotated[int, typer.Option(help="Images per step.")]
LearningRate = Annotated[float, typer.Option(help="At the peak.")]
Seed = Annotated[int, typer.Option(help="Of weights and order of the data.")]


def _user_errors(command: Callable[P, None]) -> Callable[P, None]:
    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (ValueError, OSError) as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(2) from None

    return guarded


# Imports inside the commands: torch takes seconds, which `--help` need not.


@train_app.command("tokenizer")
@_user_errors
def train_tokenizer(  # noqa: PLR0913 - a command's options are its parameters
    data: Data,
    run: Run,
    out: Out,
    epochs: Epochs = None,
    minutes: Minutes = None,
    preset: Preset = DEFAULT_PRESET,
    batch_size: BatchSize = 64,
    learning_rate: LearningRate = 1e-3,
    start_from: Annotated[
        Path | None, typer.Option(help="A checkpoint whose tokenizer is trained further.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Train an FR-VAE; the checkpoint it writes is for `nfig train transformer`."""
    from nfig import data as datasets
    from nfig.training import runs
    from nfig.training.options import TrainingOptions
    from nfig.training.reporting import Reporter
    from nfig.training.run_folder import RunFolder

    config, folder = _preset(preset), RunFolder(run)
    options = TrainingOptions(
        epochs=epochs,
        minutes=minutes,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=1e-4,
        seed=seed,
    )
    with Reporter("tokenizer") as reporter:
        runs.train_tokenizer(
            config,
            datasets.load_images(data),
            run=folder,
            options=options,
            reporter=reporter,
            start_from=start_from,
            attribution=_attribution(data),
        )
    typer.echo(f"{out}: digest {runs.publish(folder, out)}")


@train_app.command("transformer")
@_user_errors
def train_transformer(  # noqa: PLR0913
    data: Data,
    tokenizer: Annotated[Path, typer.Option(help="Checkpoint folder with the tokenizer.")],
    run: Run,
    out: Out,
    epochs: Epochs = None,
    minutes: Minutes = None,
    preset: Preset = DEFAULT_PRESET,
    batch_size: BatchSize = 64,
    learning_rate: LearningRate = 1e-3,
    seed: Seed = 0,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Faster after a slow start; needs a C++ compiler.")
    ] = False,
) -> None:
    """Train a transformer on a tokenizer's tokens; writes a whole checkpoint."""
    from nfig import data as datasets
    from nfig.training import runs
    from nfig.training.options import TrainingOptions
    from nfig.training.reporting import Reporter
    from nfig.training.run_folder import RunFolder

    config, folder = _preset(preset), RunFolder(run)
    options = TrainingOptions(
        epochs=epochs,
        minutes=minutes,
        batch_size=batch_size,
        learning_rate=learning_rate,
        clip_norm=2.0,
        seed=seed,
    )
    with Reporter("transformer") as reporter:
        runs.train_transformer(
            config,
            datasets.load_images(data),
            tokenizer_from=tokenizer,
            run=folder,
            options=options,
            reporter=reporter,
            attribution=_attribution(data),
            compiled=compiled,
        )
    typer.echo(f"{out}: digest {runs.publish(folder, out)}")


@train_app.command("classifier")
@_user_errors
def train_classifier(
    data: Data,
    out: Annotated[Path, typer.Option(help=".safetensors file to write.")],
    epochs: Annotated[float, typer.Option(help="Times to see the data.")] = 2,
    batch_size: BatchSize = 64,
    learning_rate: LearningRate = 2e-3,
    seed: Seed = 0,
) -> None:
    """Train what tells classes apart for `nfig evaluate`; no model is trained on it."""
    from nfig import data as datasets
    from nfig.evaluation import classifier
    from nfig.training.options import TrainingOptions
    from nfig.training.reporting import Reporter

    options = TrainingOptions(
        epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, seed=seed
    )
    with Reporter("classifier") as reporter:
        trained = classifier.train_and_save(datasets.load_images(data), out, options, reporter)
    typer.echo(f"{out}: held-out accuracy {trained.config.held_out_accuracy:.2%}")


@app.command()
@_user_errors
def evaluate(
    model: Annotated[Path, typer.Option(help="Checkpoint folder.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for evaluation.json and index.html.")],
    count: Annotated[int, typer.Option(help="Samples to draw.")] = 4000,
    seed: Annotated[int, typer.Option(help="Of the samples.")] = 0,
    classifier: Annotated[
        Path | None, typer.Option(help="A file of `nfig train classifier`, for class accuracy.")
    ] = None,
) -> None:
    """Measure a checkpoint against held-out images."""
    from nfig import evaluation
    from nfig.training.reporting import Reporter

    options = evaluation.EvaluationOptions(count=count, seed=seed, classifier=classifier)
    with Reporter("evaluation") as reporter:
        page = evaluation.evaluate(model, data, out, options, reporter)
    typer.echo(f"{page}")


@app.command()
@_user_errors
def publish(run: Run, out: Out) -> None:
    """Write a run's averaged weights, as last saved, as a checkpoint; also while it trains."""
    from nfig.training import runs
    from nfig.training.run_folder import RunFolder

    typer.echo(f"{out}: digest {runs.publish(RunFolder(run), out)}")


@app.command()
@_user_errors
def sample(  # noqa: PLR0913
    model: Annotated[Path, typer.Option(help="Checkpoint folder.")],
    out: Annotated[Path, typer.Option(help=".png for a grid, .npz for pixels and labels.")],
    class_name: Annotated[
        str | None, typer.Option("--class", help="Name or number; all in turn without it.")
    ] = None,
    count: Annotated[int, typer.Option(help="Images in all.")] = 16,
    seed: Annotated[int, typer.Option(help="Same seed, same images.")] = 0,
    guidance_scale: Annotated[float | None, typer.Option(help="Default: the model's.")] = None,
    top_k: Annotated[int | None, typer.Option(help="Default: the model's.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Default: the model's.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Default: the model's.")] = None,
    bands: Annotated[int | None, typer.Option(help="Stop after so many bands.")] = None,
) -> None:
    """Draw images."""
    from nfig import checkpoint, drawing

    if out.suffix not in (".png", ".npz"):
        raise ValueError(f"out must end in .png or .npz: {out}")
    loaded = checkpoint.load(model)
    chosen = {
        "guidance_scale": guidance_scale,
        "top_k": top_k,
        "top_p": top_p,
        "temperature": temperature,
        "bands": bands,
    }
    drawn = drawing.draw_many(
        loaded,
        drawing.labels_in_turn(loaded.config, class_name, count=count),
        seed=seed,
        options={name: value for name, value in chosen.items() if value is not None},
    )
    drawn.save(out)
    typer.echo(f"{out}: {count} images")


@app.command()
@_user_errors
def export(
    model: Annotated[Path, typer.Option(help="Checkpoint folder.")],
    repository: Annotated[Path, typer.Option(help="Triton's model repository to fill.")],
) -> None:
    """Fill a model repository with a checkpoint."""
    from nfig.export import export_model

    typer.echo(f"{export_model(model, repository)}")


def _preset(name: str) -> ModelConfig:
    if name not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}: {name!r}")
    return PRESETS[name]


def _attribution(data: Path) -> str:
    """Data that others made names them in a file beside it, which must travel with the model."""
    file = data.with_name("ATTRIBUTION.md")
    return file.read_text(encoding="utf-8") if file.exists() else ""
