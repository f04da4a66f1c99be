"""`nfig ablate`: what a choice is worth, at a small equal budget."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nfig.cli.options import DEFAULT_PRESET, Data, Device, Preset, user_errors
from nfig.config import preset_named

app = typer.Typer()

# Imports inside the commands: torch takes seconds, which `--help` need not.


@app.command()
@user_errors
def ablate(  # noqa: PLR0913 - a command's options are its parameters
    data: Data,
    classifier: Annotated[Path, typer.Option(help="A file of `nfig train classifier`.")],
    out: Annotated[Path, typer.Option(help="Folder for a JSON file per row and table.md.")],
    variants: Annotated[
        str, typer.Option(help="Names with commas between them.")
    ] = "nfig,radial,radial-literal,bands-3,bands-6,bands-7,var",
    tokenizer_steps: Annotated[int | None, typer.Option(help="Steps of each tokenizer.")] = None,
    transformer_steps: Annotated[
        int | None, typer.Option(help="Steps of each transformer.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Of each of the two trainings, in place of steps.")
    ] = None,
    preset: Preset = DEFAULT_PRESET,
    batch_size: Annotated[int, typer.Option(help="Images of a step.")] = 64,
    samples: Annotated[int, typer.Option(help="To draw, with guidance and without.")] = 1600,
    seed: Annotated[int, typer.Option(help="Of weights, data and samples.")] = 0,
    device: Device = "cpu",
    scorer: Annotated[
        bool, typer.Option("--scorer", help="Compare by EfficientNet-Lite0, too.")
    ] = False,
) -> None:
    """Train variants of a model at an equal budget and compare them; may be stopped and resumed."""
    from nfig.ablation import AblationOptions, run_ablation
    from nfig.ablation.variants import variants_named
    from nfig.training.reporting import Reporter

    options = AblationOptions(
        classifier=classifier,
        tokenizer_steps=tokenizer_steps,
        transformer_steps=transformer_steps,
        minutes=minutes,
        batch_size=batch_size,
        samples=samples,
        seed=seed,
        device=device,
        scorer=scorer,
    )
    chosen = variants_named(variants)
    with Reporter("ablation") as reporter:
        table = run_ablation(chosen, preset_named(preset), data, out, options, reporter=reporter)
    typer.echo("stopped; the same command goes on" if table is None else f"{table}")
