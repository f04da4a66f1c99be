"""`nfig evaluate | publish | sample | vary | export`: what is done with a model, once trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nfig.cli.options import Data, Out, ProfileName, Run, user_errors

app = typer.Typer()

# Imports inside the commands: torch takes seconds, which `--help` need not.


@app.command()
@user_errors
def evaluate(  # noqa: PLR0913
    model: Annotated[Path, typer.Option(help="Checkpoint folder.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for evaluation.json and index.html.")],
    count: Annotated[int, typer.Option(help="Samples to draw.")] = 4000,
    seed: Annotated[int, typer.Option(help="Of the samples.")] = 0,
    classifier: Annotated[
        Path | None, typer.Option(help="A file of `nfig train classifier`, for class accuracy.")
    ] = None,
    statistics: Annotated[
        Path | None, typer.Option(help="Reference statistics: an .npz file with mu and sigma.")
    ] = None,
    network: Annotated[
        Path | None, typer.Option(help="The ONNX file of the network that they are of.")
    ] = None,
    profile: ProfileName = None,
) -> None:
    """Measure a checkpoint against held-out images."""
    from nfig import evaluation
    from nfig.profile import profile_named
    from nfig.training.reporting import Reporter

    options = evaluation.EvaluationOptions(
        count=count,
        seed=seed,
        classifier=classifier,
        statistics=statistics,
        network=network,
        profile=profile_named(profile),
    )
    with Reporter("evaluation") as reporter:
        page = evaluation.evaluate(model, data, out, options, reporter)
    typer.echo(f"{page}")


@app.command()
@user_errors
def publish(run: Run, out: Out) -> None:
    """Write a run's averaged weights, as last saved, as a checkpoint; also while it trains."""
    from nfig.training import runs
    from nfig.training.run_folder import RunFolder

    typer.echo(f"{out}: digest {runs.publish(RunFolder(run), out)}")


@app.command()
@user_errors
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
    profile: ProfileName = None,
) -> None:
    """Draw images."""
    from nfig import checkpoint, drawing
    from nfig.profile import profile_named, to_profile

    _check_suffix(out)
    loaded = to_profile(checkpoint.load(model), profile_named(profile))
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
@user_errors
def vary(
    model: Annotated[Path, typer.Option(help="Checkpoint folder.")],
    image: Annotated[Path, typer.Option(help="A picture; it is resized to the model's side.")],
    keep_bands: Annotated[int, typer.Option(help="Low bands to keep, 0 to all.")],
    class_name: Annotated[str, typer.Option("--class", help="Name or number, same or another.")],
    out: Annotated[Path, typer.Option(help=".png for a grid, .npz for pixels and labels.")],
    count: Annotated[int, typer.Option(help="Variations to draw.")] = 8,
    seed: Annotated[int, typer.Option(help="Same seed, same variations.")] = 0,
) -> None:
    """Draw images that share their low bands with a picture."""
    import numpy as np
    from PIL import Image

    from nfig.drawing import DrawnImages, labels_in_turn
    from nfig.images import decode_image
    from nfig.pipeline import NFIGPipeline

    _check_suffix(out)
    pipeline = NFIGPipeline.from_pretrained(model)
    labels = labels_in_turn(pipeline.config, class_name, count=count)
    picture = Image.fromarray(decode_image(image.read_bytes()))
    varied = pipeline.vary(
        picture, keep_bands=keep_bands, class_label=labels[0], num_images=count, seed=seed
    )
    pixels = np.stack([np.array(each) for each in varied.images])
    DrawnImages(pixels=pixels, labels=np.array(labels)).save(out)
    typer.echo(f"{out}: {count} variations")


@app.command()
@user_errors
def export(
    model: Annotated[Path, typer.Option(help="Checkpoint folder.")],
    repository: Annotated[Path, typer.Option(help="Triton's model repository to fill.")],
    profile: ProfileName = None,
) -> None:
    """Fill a model repository with a checkpoint. In another profile it has another digest."""
    from nfig.export import export_model
    from nfig.profile import profile_named

    typer.echo(f"{export_model(model, repository, profile=profile_named(profile))}")


def _check_suffix(out: Path) -> None:
    if out.suffix not in (".png", ".npz"):
        raise ValueError(f"out must end in .png or .npz: {out}")
