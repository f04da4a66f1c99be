"""`python -m service.stack demo|serve`: the whole service on this machine, from wheels alone."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from service.settings import GatewaySettings, WorkerSettings, read_settings
from service.stack.choice import EngineName, choose_engine
from service.stack.demo import DemoOptions, first_model, run_demo
from service.stack.processes import PartFailed
from service.stack.progress import Progress
from service.stack.running import RunningStack, StackOptions, run_stack
from service.stack.stream import DrawFailed

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

EngineOption = Annotated[
    EngineName | None,
    typer.Option(help="Who draws; by default Triton where it can run, else torch in process."),
]
CheckpointOption = Annotated[Path, typer.Option(help="Folder of the checkpoint to serve.")]
RepositoryOption = Annotated[Path, typer.Option(help="Model repository to export it into.")]
FolderOption = Annotated[Path, typer.Option("--dir", help="Where pictures and logs go.")]

CHECKPOINT = Path("checkpoints/avatars-64")
REPOSITORY = Path("model_repository")
FOLDER = Path("out")


@app.command()
def demo(
    engine: EngineOption = None,
    checkpoint: CheckpointOption = CHECKPOINT,
    repository: RepositoryOption = REPOSITORY,
    folder: FolderOption = FOLDER,
    prompt: Annotated[
        str | None, typer.Option("--class", help="Class name or label; the first one by default.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the image.", min=0)] = 0,
) -> None:
    """Start everything, draw one image band by band, stop everything."""
    if read_settings(GatewaySettings).api_keys_file:
        raise typer.BadParameter("NFIG_API_KEYS_FILE: the demo has no key; unset it, or use serve")
    progress = Progress()
    options = _options(engine, checkpoint, repository, folder, port=0, progress=progress)
    wanted = DemoOptions(prompt=prompt, seed=seed, folder=folder / "demo")
    with _explained(progress, options), run_stack(options, progress) as stack:
        run_demo(stack.gateway_url, wanted, progress)


@app.command()
def serve(
    engine: EngineOption = None,
    checkpoint: CheckpointOption = CHECKPOINT,
    repository: RepositoryOption = REPOSITORY,
    folder: FolderOption = FOLDER,
    port: Annotated[
        int, typer.Option(help="Port of the gateway; another free one if taken.", min=0, max=65535)
    ] = 8000,
    grpc_port: Annotated[
        int, typer.Option(help="The same for its gRPC door.", min=0, max=65535)
    ] = 50051,
) -> None:
    """Start everything and keep it running until Ctrl-C."""
    progress = Progress()
    options = _options(engine, checkpoint, repository, folder, port=port, progress=progress)
    options = replace(options, grpc_port=grpc_port)
    with _explained(progress, options), run_stack(options, progress) as stack:
        _print_addresses(stack, progress)
        with suppress(KeyboardInterrupt):
            stack.watch(progress.warn)


def _options(
    engine: EngineName | None,
    checkpoint: Path,
    repository: Path,
    folder: Path,
    *,
    port: int,
    progress: Progress,
) -> StackOptions:
    # The parts read them again; here nothing has been started yet.
    read_settings(WorkerSettings)
    if read_settings(GatewaySettings).internal_port:
        raise typer.BadParameter("NFIG_INTERNAL_PORT: here, health and metrics stay at --port")
    try:
        choice = choose_engine(engine)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if choice.engine != "fake" and not checkpoint.is_dir():
        raise typer.BadParameter(f"--checkpoint: no folder {checkpoint}")
    if choice.note:
        progress.warn(choice.note)
    return StackOptions(
        engine=choice.engine,
        checkpoint=checkpoint,
        repository=repository,
        logs=folder / "logs",
        port=port,
    )


@contextmanager
def _explained(progress: Progress, options: StackOptions) -> Iterator[None]:
    """Turns an expected failure into a message and a status, and a signal into a clean end."""
    # SIGHUP: a closed terminal.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        yield
    except (PartFailed, DrawFailed) as error:
        progress.fail(str(error))
        progress.say(f"all logs: {options.logs}")
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        progress.say("stopped")
        raise typer.Exit(130) from None


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _print_addresses(stack: RunningStack, progress: Progress) -> None:
    url = stack.gateway_url
    if read_settings(GatewaySettings).api_keys_file:
        # Names of classes are for those who have one; every model has a class 0.
        key, prompt = '-H "Authorization: Bearer $KEY" ', "0"
    else:
        key, prompt = "", first_model(url)["class_names"][0]
    body = json.dumps({"prompt": prompt, "stream": True, "partial_images": 3})
    progress.say(
        f"\nplayground  {url}/\n"
        f"images      {url}/v1/images/generations\n"
        f"models      {url}/v1/models\n"
        f"API         {url}/docs\n"
        f"gRPC        {stack.grpc_address}\n"
        f"metrics     {url}/metrics, {stack.worker_metrics_url}\n"
        f"\ntry         curl -N {url}/v1/images/generations {key}"
        f"-H 'Content-Type: application/json' -d '{body}'\n"
        "\nCtrl-C stops everything."
    )


if __name__ == "__main__":
    app()
