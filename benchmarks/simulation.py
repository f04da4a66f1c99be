"""`python -m benchmarks.simulation`: what the queueing model says of the measured overload.

The model takes two figures from the measurement: for how long an image keeps a slot, from the
capacity, and what its way in and out takes, from the row of the lightest load. All else it
foretells: how much is completed and refused at each load, and how long those wait that are let in.

Without options it is compared with the newest overload of benchmarks/results; with `--validate`,
one is measured first, in two minutes on a machine that does nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from benchmarks import overload
from benchmarks.paced_engine import grid_sides
from benchmarks.queue_model import Model, Simulation, steadily
from benchmarks.reports import Report, milliseconds, newest_result, quantile

Row = Mapping[str, Any]
MOST_OFF = {"completed": 0.05, "p50": 0.1, "p99": 0.15}
"""Shares by which the model may differ."""
MOST_REFUSED_OFF = 0.03
"""Of all requests."""


def fitted(parameters: Row, rows: Sequence[Row]) -> Model:
    """The model of what `overload` starts: one worker, whose images do not wait for each other."""
    calm = min(rows, key=lambda row: row["offered / capacity"])
    slots = parameters["slots"]
    held = slots / calm["capacity images/s"]
    tokens = [side * side for side in grid_sides()]
    return Model(
        workers=1,
        slots=slots,
        depth=parameters["depth"],
        batches=slots,
        batch_sizes=(1,),
        bands=len(tokens),
        band_seconds=lambda band, _size: held * tokens[band] / sum(tokens),
        path_seconds=max(0.0, calm["completed p50 ms"] / 1e3 - held),
    )


def compare(parameters: Row, rows: Sequence[Row]) -> Report:
    """Of each row of an overload, what was measured and what the model says."""
    model = fitted(parameters, rows)
    compared = [_row(model, parameters, row) for row in rows]
    return Report(
        name="simulation", parameters=dict(parameters), rows=compared, verdict=_verdict(compared)
    )


def _row(model: Model, parameters: Row, measured: Row) -> dict[str, Any]:
    rate = measured["offered images/s"]
    warm_up, seconds = parameters["warm_up"], parameters["seconds"]
    fates = Simulation(model).run(steadily(rate, warm_up + seconds))[round(rate * warm_up) :]
    took = [fate.seconds for fate in fates if not fate.refused]
    return {
        "offered / capacity": measured["offered / capacity"],
        "requests": len(fates),
        "completed/s": measured["completed images/s"],
        "simulated completed/s": round(len(took) / seconds, 2),
        "refused": measured["refused"],
        "simulated refused": len(fates) - len(took),
        "p50 ms": measured["completed p50 ms"],
        "simulated p50 ms": milliseconds(quantile(took, 0.5)),
        "p99 ms": measured["completed p99 ms"],
        "simulated p99 ms": milliseconds(quantile(took, 0.99)),
    }


def _verdict(rows: Sequence[Row]) -> str:
    complaints = []
    for row in rows:
        where = f"at {row['offered / capacity']:g} times the capacity"
        for figure, name in (("completed", "completed/s"), ("p50", "p50 ms"), ("p99", "p99 ms")):
            off = abs(row[f"simulated {name}"] / row[name] - 1)
            if off > MOST_OFF[figure]:
                complaints.append(f"{where} {name} is off by {off:.0%}")
        off = abs(row["simulated refused"] - row["refused"]) / row["requests"]
        if off > MOST_REFUSED_OFF:
            complaints.append(f"{where} the refused share is off by {off:.0%}")
    demanded = (
        f"demanded: completed within {MOST_OFF['completed']:.0%}, "
        f"p50 within {MOST_OFF['p50']:.0%}, p99 within {MOST_OFF['p99']:.0%}, "
        f"refused within {MOST_REFUSED_OFF:.0%} of requests: "
    )
    return demanded + ("; ".join(complaints) or "met")


def main(
    validate: Annotated[bool, typer.Option(help="Measure first, on this machine.")] = False,
    seconds: Annotated[float, typer.Option(help="Per load, with --validate.")] = 20.0,
) -> None:
    """The queueing model beside a measured overload."""
    if validate:
        measured = overload.measure(overload.Load(seconds=seconds))
        parameters, rows = measured.parameters, measured.rows
    else:
        kept = newest_result("overload")
        parameters, rows = kept["parameters"], kept["rows"]
    compare(parameters, rows).publish()


if __name__ == "__main__":
    typer.run(main)
