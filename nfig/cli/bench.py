"""`nfig bench`: two models side by side, timed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nfig.cli.options import user_errors

if TYPE_CHECKING:
    from nfig.speed.comparison import Comparison

app = typer.Typer()


@app.command()
@user_errors
def bench(  # noqa: PLR0913
    model: Annotated[str, typer.Option(help="Preset, as this project runs it.")] = "nfig-d16",
    against: Annotated[str, typer.Option(help="Preset that its speed is compared with.")] = (
        "var-d20"
    ),
    profile: Annotated[str, typer.Option(help="Of the first: exact or fast.")] = "exact",
    baseline: Annotated[
        str, typer.Option(help="How the second is run: as_published or same_code.")
    ] = "as_published",
    batch_sizes: Annotated[str, typer.Option(help="Separated by commas.")] = "1",
    dtype: Annotated[str, typer.Option(help="fp32, bf16 or fp16.")] = "bf16",
    device: Annotated[str, typer.Option(help="cpu or cuda; nobody has run cuda yet.")] = "cpu",
    repetitions: Annotated[int, typer.Option(help="At most, of each at each batch size.")] = 15,
    json_file: Annotated[Path | None, typer.Option("--json", help="File for all figures.")] = None,
) -> None:
    """Time two models side by side, decoder and guidance included. Weights are random."""
    from nfig.profile import profile_named
    from nfig.speed.baseline import label_named
    from nfig.speed.comparison import BenchOptions, compare

    options = BenchOptions(
        model=model,
        against=against,
        profile=profile_named(profile) or "exact",
        baseline=label_named(baseline),
        batch_sizes=_sizes(batch_sizes),
        dtype=dtype,
        device=device,
        repetitions=repetitions,
    )
    comparison = compare(options)
    if json_file is not None:
        json_file.write_text(json.dumps(comparison.to_dict(), indent=2) + "\n", encoding="utf-8")
    _show(comparison)


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"batch_sizes must be numbers separated by commas: {text!r}") from None


def _show(comparison: Comparison) -> None:
    from rich.console import Console
    from rich.table import Table

    options = comparison.options
    table = Table(
        title=f"{options.model} ({options.profile}) beside {options.against} ({options.baseline})"
    )
    for column in ("batch", "part", f"{options.model} ms", f"{options.against} ms", "speedup"):
        table.add_column(column, justify="right")
    for result in comparison.results:
        names = [f"band {band}" for band in range(len(result.first.parts) - 1)]
        columns = zip(
            [*names, "decoder", "total"],
            [*result.first.parts, result.first.total],
            [*result.second.parts, result.second.total],
            strict=True,
        )
        for name, first, second in columns:
            table.add_row(*_row(result.batch_size, name, first, second))
        table.add_section()
    console = Console()
    console.print(table)
    console.print(_footer(comparison.to_dict()))
    if any(result.disturbed for result in comparison.results):
        console.print(
            "the machine was busy: too few repetitions agree for these figures to be kept"
        )


def _row(batch_size: int, name: str, first: float, second: float) -> tuple[str, ...]:
    return (
        str(batch_size),
        name,
        f"{1e3 * first:.1f}",
        f"{1e3 * second:.1f}",
        f"{second / first:.2f}",
    )


def _footer(values: dict[str, Any]) -> str:
    machine, memory, previews = values["machine"], values["memory"], values["previews"]
    megabytes = {name: f"{size / 1e6:,.0f} MB" for name, size in memory.items()}
    shares = [
        f"{result['transformer']['of_matmul_rate']:.0%} at batch {result['batch_size']}"
        for result in values["results"]
    ]
    return (
        f"machine: {machine['threads']} threads, {machine['gflops']:,.0f} GFLOP/s, "
        f"{machine['gbytes_per_second']:.1f} GB/s\n"
        f"transformer of {values['options']['model']}, share of that rate: {', '.join(shares)}\n"
        f"memory of {values['options']['model']}: weights {megabytes['weights']}, "
        f"cache {megabytes['cache']}, activations {megabytes['activations']}: "
        f"{megabytes['total']} computed, {megabytes['grown']} measured "
        f"({memory['grown'] / memory['total']:.2f} times)\n"
        f"previews of all bands add {previews['added']:.0%} to its image's time; the first comes "
        f"after {previews['first']:.0%} of it"
    )
