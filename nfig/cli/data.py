"""`nfig data`: make a data set to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nfig.cli.options import user_errors

app = typer.Typer(help="Make a data set to train on.", no_args_is_help=True)

# Imports inside the commands: torch takes seconds, which `--help` need not.


@app.command("avatars-16")
@user_errors
def data_avatars(
    out: Annotated[Path, typer.Option(help="Folder to write train64.npz and its companions to.")],
    per_class: Annotated[int, typer.Option(help="Images of each of the 16 classes.")] = 2000,
    seed: Annotated[int, typer.Option(help="Same seed, same images.")] = 0,
    apart_from: Annotated[
        Path | None, typer.Option(help="A data set whose held-out images are left out.")
    ] = None,
) -> None:
    """Draw the set that the shipped model was trained on; needs Node.js and npm."""
    from nfig.data import avatars

    built = avatars.build(out, per_class=per_class, seed=seed, apart_from=apart_from)
    typer.echo(f"{out}: {len(built)} images, digest {built.digest}")


@app.command("folder")
@user_errors
def data_folder(
    images: Annotated[Path, typer.Argument(help="Folder with a folder of images for each class.")],
    out: Annotated[Path, typer.Option(help="The .npz file to write.")],
    side: Annotated[int, typer.Option(help="Pixels per edge.")] = 64,
) -> None:
    """Pack your own images into one file."""
    from nfig.data.image_folder import pack_folder

    packed = pack_folder(images, out, side=side)
    typer.echo(f"{out}: {len(packed)} images of {len(packed.class_names)} classes")
