"""`python -m benchmarks.brownout`: goodput and image quality against offered load, with and without
shedding bands.

Requests come at multiples of the measured capacity, as in `overload`, to a stack of its own for
each point, so that no point starts with the level of the one before. Bands take time in proportion
to their tokens, and an image that stops at a band is worth what was measured of the model that
ships.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.line_chart import Chart, page
from benchmarks.open_loop import Crowd, Outcome, seconds_of
from benchmarks.overload import Load, measured_capacity
from benchmarks.paced_engine import psnr_of_bands
from benchmarks.parts import running_parts
from benchmarks.reports import Report, milliseconds, quantile

WAYS = ("without", "with")
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class BrownoutLoad(Load):
    multiples: Sequence[float] = (0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
    warm_up: float = 10.0
    """Until the level has found its place."""
    min_bands: int = 1
    target_seconds: float = 0.25

    def settings(self, way: str) -> Mapping[str, str]:
        depth = {"NFIG_MAX_QUEUE_DEPTH": str(self.depth)}
        if way == "without":
            return depth
        return {
            **depth,
            "NFIG_BROWNOUT_MIN_BANDS": str(self.min_bands),
            "NFIG_BROWNOUT_TARGET_SECONDS": str(self.target_seconds),
        }


def measure(load: BrownoutLoad) -> Report:
    capacity = _capacity(load)
    rows = [_point(load, capacity, way, multiple) for way in WAYS for multiple in load.multiples]
    return Report(name="brownout", parameters=vars(load), rows=rows)


def _capacity(load: BrownoutLoad) -> float:
    async def measured(port: int) -> float:
        crowd = Crowd(port)
        capacity = await measured_capacity(crowd, load)
        await crowd.go()
        return capacity

    with running_parts(load.settings("without")) as parts:
        parts.start_paced_worker(image_seconds=load.image_seconds, max_generations=load.slots)
        return asyncio.run(measured(parts.gateway.port))


def _point(load: BrownoutLoad, capacity: float, way: str, multiple: float) -> Row:
    async def come(port: int) -> list[Outcome]:
        crowd = Crowd(port)
        rate = multiple * capacity
        outcomes = await crowd.come(rate=rate, seconds=load.seconds, warm_up=load.warm_up)
        await crowd.go()
        return outcomes

    with running_parts(load.settings(way)) as parts:
        parts.start_paced_worker(image_seconds=load.image_seconds, max_generations=load.slots)
        outcomes = asyncio.run(come(parts.gateway.port))
    return {
        "shedding": way,
        "offered / capacity": multiple,
        "offered images/s": round(multiple * capacity, 2),
        **_figures(outcomes, load),
    }


def _figures(outcomes: Sequence[Outcome], load: BrownoutLoad) -> Row:
    psnr = psnr_of_bands()
    bands = [each.bands for each in outcomes if each.completed]
    completed = seconds_of(outcomes, completed=True)
    refused = seconds_of(outcomes, completed=False)
    return {
        "completed images/s": round(len(bands) / load.seconds, 2),
        "refused share": round(len(refused) / len(outcomes), 3),
        "failed": len(outcomes) - len(bands) - len(refused),
        "completed p50 ms": milliseconds(quantile(completed, 0.5)),
        "completed p99 ms": milliseconds(quantile(completed, 0.99)),
        "bands": round(sum(bands) / len(bands), 2),
        "PSNR dB": round(sum(psnr[each - 1] for each in bands) / len(bands), 2),
    }


def curves(report: Report) -> str:
    """Both figures over the offered load, as SVG."""

    def lines(figure: str) -> dict[str, list[tuple[float, float]]]:
        found: dict[str, list[tuple[float, float]]] = {f"{way} brownout": [] for way in WAYS}
        for row in report.rows:
            point = (row["offered / capacity"], row[figure])
            found[f"{row['shedding']} brownout"].append(point)
        return found

    x_label = "offered load, in capacities of all bands"
    goodput = Chart(
        title="Goodput",
        x_label=x_label,
        y_label="completed images per second",
        lines=lines("completed images/s"),
    )
    quality = Chart(
        title="Quality of completed images",
        x_label=x_label,
        y_label="PSNR, dB",
        lines=lines("PSNR dB"),
        y_from=10.0,
    )
    return page([goodput, quality])


def publish(report: Report, *, folder: Path | None = None) -> Path:
    """The report and, beside it, its curves; returns the latter's file."""
    kept = report.publish() if folder is None else report.publish(folder)
    chart = kept.with_suffix(".svg")
    chart.write_text(curves(report), encoding="utf-8")
    return chart


def main(
    seconds: Annotated[float, typer.Option(help="Per point, after the warm-up.")] = 20.0,
    image_ms: Annotated[float, typer.Option(help="What an image of all bands takes.")] = 200.0,
    slots: Annotated[int, typer.Option(help="Images drawn at once.")] = 4,
    depth: Annotated[int, typer.Option(help="Jobs before requests are refused.")] = 40,
    min_bands: Annotated[int, typer.Option(help="The fewest bands.")] = 1,
) -> None:
    """Goodput and quality against offered load, with and without brownout."""
    load = BrownoutLoad(
        seconds=seconds,
        image_seconds=image_ms / 1e3,
        slots=slots,
        depth=depth,
        min_bands=min_bands,
    )
    typer.echo(publish(measure(load)))


if __name__ == "__main__":
    typer.run(main)
