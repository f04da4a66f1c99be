"""`nfig train`: train a part of a model, or what scores it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nfig.cli.options import (
    DEFAULT_PRESET,
    Accumulate,
    BatchSize,
    CheckpointMinutes,
    Compiled,
    Data,
    Device,
    Epochs,
    Further,
    LearningRate,
    Minutes,
    ModelName,
    Optimizer,
    Out,
    Preset,
    Recipe,
    Run,
    Seed,
    SelfCorrection,
    attribution_beside,
    preset_of,
    user_errors,
)

if TYPE_CHECKING:
    from nfig.training.run_folder import RunFolder

app = typer.Typer(help="Train a part of a model.", no_args_is_help=True)

# Imports inside the commands: torch takes seconds, which `--help` need not.


@app.command("tokenizer")
@user_errors
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
    encoder_weights: Annotated[
        Path | None, typer.Option(help="DINOv2's, as safetensors: the encoder starts from them.")
    ] = None,
    pixel: Annotated[float, typer.Option(help="Weight of the pixels' loss.")] = 1.0,
    latent: Annotated[float, typer.Option(help="Weight of the latent's L2.")] = 0.0,
    perceptual: Annotated[
        float, typer.Option(help="Weight of MobileNetV2's features; needs their package.")
    ] = 0.0,
    accumulate: Accumulate = 1,
    checkpoint_minutes: CheckpointMinutes = 2.0,
    device: Device = "cpu",
    seed: Seed = 0,
) -> None:
    """Train an FR-VAE; the checkpoint it writes is for `nfig train transformer`."""
    from nfig import data as datasets
    from nfig.training import runs
    from nfig.training.options import TrainingOptions
    from nfig.training.run_folder import RunFolder
    from nfig.training.terms import LossTerms

    images, folder = datasets.load_images(data), RunFolder(run)
    options = TrainingOptions(
        epochs=epochs,
        minutes=minutes,
        batch_size=batch_size,
        accumulate=accumulate,
        learning_rate=learning_rate,
        weight_decay=1e-4,
        checkpoint_minutes=checkpoint_minutes,
        device=device,
        seed=seed,
    )
    training = partial(
        runs.train_tokenizer,
        preset_of(preset, len(images.class_names)),
        images,
        run=folder,
        options=options,
        start_from=start_from,
        attribution=attribution_beside(data),
        terms=LossTerms(pixel=pixel, latent=latent, perceptual=perceptual),
        encoder_weights=encoder_weights,
    )
    _train_and_publish("tokenizer", training, folder, out)


@app.command("transformer")
@user_errors
def train_transformer(  # noqa: PLR0913
    data: Data,
    tokenizer: Annotated[Path, typer.Option(help="Checkpoint folder with the tokenizer.")],
    run: Run,
    out: Out,
    epochs: Epochs = None,
    minutes: Minutes = None,
    preset: Annotated[
        str | None, typer.Option(help=f"Which model; {DEFAULT_PRESET}, or the recipe's.")
    ] = None,
    name: ModelName = None,
    further: Further = False,
    self_correction: SelfCorrection = 0.0,
    recipe: Recipe = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Images at once, over all processes; 64, or the recipe's.")
    ] = None,
    optimizer: Optimizer = "adamw",
    learning_rate: Annotated[
        float | None, typer.Option(help="At the peak; 1e-3, or the recipe's.")
    ] = None,
    accumulate: Accumulate = 1,
    checkpoint_minutes: CheckpointMinutes = 2.0,
    device: Device = "cpu",
    seed: Seed = 0,
    compiled: Compiled = False,
) -> None:
    """Train a transformer on a tokenizer's tokens; writes a whole checkpoint."""
    from nfig import data as datasets
    from nfig.training import runs
    from nfig.training.recipes import options_of
    from nfig.training.run_folder import RunFolder

    given = {
        "epochs": epochs,
        "minutes": minutes,
        "batch_size": batch_size,
        "accumulate": accumulate,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "checkpoint_minutes": checkpoint_minutes,
        "device": device,
        "seed": seed,
    }
    options = options_of(recipe, given, without_recipe={"clip_norm": 2.0})
    images, folder = datasets.load_images(data), RunFolder(run)
    config = preset_of(preset or recipe or DEFAULT_PRESET, len(images.class_names))
    training = partial(
        runs.train_transformer,
        replace(config, name=name or config.name),
        images,
        tokenizer_from=tokenizer,
        run=folder,
        options=options,
        further=further,
        self_correction=self_correction,
        attribution=attribution_beside(data),
        compiled=compiled,
    )
    _train_and_publish("transformer", training, folder, out)


@app.command("decoder")
@user_errors
def train_decoder(  # noqa: PLR0913
    data: Data,
    model: Annotated[Path, typer.Option(help="Checkpoint folder whose decoder is trained on.")],
    run: Run,
    out: Out,
    epochs: Epochs = None,
    minutes: Minutes = None,
    batch_size: BatchSize = 32,
    learning_rate: LearningRate = 3e-4,
    palette_size: Annotated[
        int | None, typer.Option(help="Colours a new decoder mixes from; 0 for none.", min=0)
    ] = None,
    accumulate: Accumulate = 1,
    checkpoint_minutes: CheckpointMinutes = 2.0,
    device: Device = "cpu",
    seed: Seed = 0,
) -> None:
    """Teach a model's decoder to draw what looks real; its tokens stay as they are."""
    from nfig import data as datasets
    from nfig.training import runs
    from nfig.training.options import TrainingOptions
    from nfig.training.run_folder import RunFolder

    folder = RunFolder(run)
    options = TrainingOptions(
        epochs=epochs,
        minutes=minutes,
        batch_size=batch_size,
        accumulate=accumulate,
        learning_rate=learning_rate,
        weight_decay=1e-4,
        betas=(0.5, 0.95),
        checkpoint_minutes=checkpoint_minutes,
        device=device,
        seed=seed,
    )
    training = partial(
        runs.train_decoder,
        datasets.load_images(data),
        model_from=model,
        palette_size=palette_size,
        run=folder,
        options=options,
        attribution=attribution_beside(data),
    )
    _train_and_publish("decoder", training, folder, out)


@app.command("preview-decoder")
@user_errors
def train_preview_decoder(  # noqa: PLR0913
    data: Data,
    model: Annotated[Path, typer.Option(help="Checkpoint folder whose decoder is the teacher.")],
    run: Run,
    out: Out,
    epochs: Epochs = None,
    minutes: Minutes = None,
    channels: Annotated[int, typer.Option(help="Width of the preview decoder.")] = 64,
    batch_size: BatchSize = 32,
    learning_rate: LearningRate = 2e-3,
    accumulate: Accumulate = 1,
    checkpoint_minutes: CheckpointMinutes = 2.0,
    seed: Seed = 0,
) -> None:
    """Distil a light decoder of previews from a model's decoder; all else stays as it is."""
    from nfig import data as datasets
    from nfig.training import runs
    from nfig.training.options import TrainingOptions
    from nfig.training.run_folder import RunFolder

    folder = RunFolder(run)
    options = TrainingOptions(
        epochs=epochs,
        minutes=minutes,
        batch_size=batch_size,
        accumulate=accumulate,
        learning_rate=learning_rate,
        weight_decay=1e-4,
        checkpoint_minutes=checkpoint_minutes,
        seed=seed,
    )
    training = partial(
        runs.train_preview_decoder,
        datasets.load_images(data),
        model_from=model,
        channels=channels,
        run=folder,
        options=options,
        attribution=attribution_beside(data),
    )
    _train_and_publish("preview decoder", training, folder, out)


@app.command("classifier")
@user_errors
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


def _train_and_publish(
    title: str, training: Callable[..., object], folder: RunFolder, out: Path
) -> None:
    """Alone, or as one of torchrun's processes, of which only the main one speaks and publishes."""
    from nfig.training import processes, runs
    from nfig.training.reporting import Reporter

    with processes.joined():
        with Reporter(title, quiet=not processes.is_main()) as reporter:
            training(reporter=reporter)
        if processes.is_main():
            typer.echo(f"{out}: digest {runs.publish(folder, out)}")
