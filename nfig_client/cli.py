"""The `nfig-client` command: draw an image and watch it sharpen, look after jobs, list models.

What the service refuses ends in one line on stderr and exit code 1, a wrong argument in 2.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, ParamSpec

import typer
from rich.console import Console

from nfig_client.client import Client
from nfig_client.errors import NFIGError
from nfig_client.events import JobCompleted
from nfig_client.options import GenerationOptions
from nfig_client.records import Generated, Image, Job, Model, PictureFormat
from nfig_client.screen import show as show_events

P = ParamSpec("P")
FORMATS: dict[str, PictureFormat] = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".webp": "webp",
}

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)
jobs = typer.Typer(help="Jobs by their id.", no_args_is_help=True)
app.add_typer(jobs, name="jobs")

JobId = Annotated[str, typer.Argument(help="The job's id.")]


def reported(command: Callable[P, None]) -> Callable[P, None]:
    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (NFIGError, OSError) as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from None
        except ValueError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(2) from None

    return guarded


@app.callback()
@reported
def main(
    context: typer.Context,
    base_url: Annotated[
        str | None, typer.Option(envvar="NFIG_BASE_URL", help="Where the service is.")
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(envvar="NFIG_API_KEY", show_envvar=True, help="Better in the environment."),
    ] = None,
) -> None:
    context.obj = context.with_resource(Client(base_url, api_key=api_key))


@app.command()
@reported
def generate(  # noqa: PLR0913
    context: typer.Context,
    class_name: Annotated[str, typer.Option("--class", help="Name or number.")],
    out: Annotated[
        Path, typer.Option(help=".png, .jpg or .webp; of several, cat-0.png and so on.")
    ],
    watch: Annotated[bool, typer.Option("--watch", help="Show the bands as they come.")] = False,
    model: Annotated[str | None, typer.Option(help="Default: the first that can draw.")] = None,
    count: Annotated[int, typer.Option(help="Images.")] = 1,
    seed: Annotated[int | None, typer.Option(help="Same seed, same images.")] = None,
    guidance_scale: Annotated[float | None, typer.Option(help="Default: the model's.")] = None,
    top_k: Annotated[int | None, typer.Option(help="Default: the model's.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Default: the model's.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Default: the model's.")] = None,
    bands: Annotated[int | None, typer.Option(help="Stop after so many bands.")] = None,
    deadline_ms: Annotated[int | None, typer.Option(help="The best image by then.")] = None,
) -> None:
    """Draw images and save them."""
    if out.suffix.lower() not in FORMATS:
        raise ValueError(f"out must end in {', '.join(FORMATS)}: {out}")
    options = GenerationOptions(
        model=model,
        num_images=count,
        seed=seed,
        guidance_scale=guidance_scale,
        top_k=top_k,
        top_p=top_p,
        temperature=temperature,
        bands=bands,
        deadline_ms=deadline_ms,
        picture_format=FORMATS[out.suffix.lower()],
    )
    for image in _draw(_client(context), class_name, options, watch=watch).images:
        path = _path(out, image, count)
        image.save(path)
        typer.echo(f"{path}: seed {image.seed}, {image.bands_completed} bands")


@app.command()
@reported
def models(context: typer.Context) -> None:
    """List the models and their classes."""
    client = _client(context)
    for listed in client.models():
        typer.echo(_model_line(listed))
        typer.echo("  " + ", ".join(client.model(listed.id).class_names))


@jobs.command()
@reported
def show(context: typer.Context, job: JobId) -> None:
    """What has become of it."""
    typer.echo(_job_lines(_client(context).job(job)))


@jobs.command()
@reported
def cancel(context: typer.Context, job: JobId) -> None:
    """End it, at once or at its next band."""
    typer.echo(_job_lines(_client(context).cancel(job)))


@jobs.command()
@reported
def watch(
    context: typer.Context,
    job: JobId,
    after: Annotated[str | None, typer.Option(help="Id of an event to go on after.")] = None,
) -> None:
    """Show its events, from the first on, until it ends."""
    client = _client(context)
    last = show_events(client.watch(job, after=after), client.download, Console())
    if last is not None and not isinstance(last, JobCompleted):
        raise typer.Exit(1)


def _client(context: typer.Context) -> Client:
    client = context.obj
    assert isinstance(client, Client)
    return client


def _draw(
    client: Client, class_label: str, options: GenerationOptions, *, watch: bool
) -> Generated:
    """Whoever interrupts it does not want the images any more."""
    if watch:
        options = {**options, "previews": _all_previews(client, options)}
    job = client.create(class_label, **options)
    try:
        events = client.watch(job)
        if watch:
            show_events(events, client.download, Console())
        else:
            for _ in events:
                pass
    except KeyboardInterrupt:
        client.cancel(job)
        raise
    return client.images(job)


def _all_previews(client: Client, options: GenerationOptions) -> int | None:
    """One for each band but the last; None leaves it to the service to refuse the request."""
    wanted = options.get("model")
    ready = [
        model
        for model in client.models()
        if (model.engine == "ready" if wanted is None else model.id == wanted)
    ]
    if not ready:
        return None
    # All models that can draw, because which one is the first is the service's to say.
    bands = min(model.bands for model in ready)
    return max(0, min(bands, options.get("bands") or bands) - 1)


def _path(out: Path, image: Image, count: int) -> Path:
    return out if count == 1 else out.with_stem(f"{out.stem}-{image.image_index}")


def _model_line(model: Model) -> str:
    grids = ", ".join(str(side) for side in model.grid_sides)
    return f"{model.id}: {model.engine}, {model.image_size}, {model.bands} bands ({grids})"


def _job_lines(job: Job) -> str:
    waits = "" if job.position is None else f", {job.position} ahead of it"
    lines = [f"{job.id}: {job.state}{waits}, {job.model}, class {job.class_label}, seed {job.seed}"]
    if job.error is not None:
        lines.append(f"  {job.error.detail} ({job.error.code})")
    for image in job.images:
        where = "" if image.picture is None else f", {image.picture.url}"
        lines.append(f"  image {image.image_index}: {image.bands_completed} bands{where}")
    return "\n".join(lines)
