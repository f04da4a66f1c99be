"""The `nfig` command: train, publish, sample, export.

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
data_app = typer.Typer(help="Make a data set to train on.", no_args_is_help=True)
app.add_typer(data_app, name="data")

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


@data_app.command("avatars-16")
@_user_errors
def data_avatars(
    out: Annotated[Path, typer.Option(help="Folder to write train64.npz and its companions to.")],
    per_class: Annotated[int, typer.Option(help="Images of each of the 16 classes.")] = 2000,
    seed: Annotated[int, typer.Option(help="Same seed, same images.")] = 0,
) -> None:
    """Draw the set that the shipped model was trained on; needs Node.js and npm."""
    from nfig.data import avatars

    built = avatars.build(out, per_class=per_class, seed=seed)
    typer.echo(f"{out}: {len(built)} images, digest {built.digest}")


@data_app.command("folder")
@_user_errors
def data_folder(
    images: Annotated[Path, typer.Argument(help="Folder with a folder of images for each class.")],
    out: Annotated[Path, typer.Option(help="The .npz file to write.")],
    side: Annotated[int, typer.Option(help="Pixels per edge.")] = 64,
) -> None:
    """Pack your own images into one file."""
    from nfig.data.image_folder import pack_folder

    packed = pack_folder(images, out, side=side)
    typer.echo(f"{out}: {len(packed)} images of {len(packed.class_names)} classes")


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


@train_app.command("decoder")
@_user_errors
def train_decoder(  # noqa: PLR0913
    data: Data,
    model: Annotated[Path, typer.Option(help="Checkpoint folder whose decoder is trained on.")],
    run: Run,
    out: Out,
    epochs: Epochs = None,
    minutes: Minutes = None,
    batch_size: BatchSize = 32,
    learning_rate: LearningRate = 3e-4,
    seed: Seed = 0,
) -> None:
    """Teach a model's decoder to draw what looks real; its tokens stay as they are."""
    from nfig import data as datasets
    from nfig.training import runs
    from nfig.training.options import TrainingOptions
    from nfig.training.reporting import Reporter
    from nfig.training.run_folder import RunFolder

    folder = RunFolder(run)
    options = TrainingOptions(
        epochs=epochs,
        minutes=minutes,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=1e-4,
        betas=(0.5, 0.95),
        seed=seed,
    )
    with Reporter("decoder") as reporter:
        runs.train_decoder(
            datasets.load_images(data),
            model_from=model,
            run=folder,
            options=options,
            reporter=reporter,
            attribution=_attribution(data),
        )
    typer.echo(f"{out}: digest {runs.publish(folder, out)}")


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
