"""The rows of a folder as one table in Markdown."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from nfig.ablation.variants import VARIANTS

TABLE = "table.md"


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """In the order of the variants, then of seeds."""
    rows = [json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("*-seed-*.json")]
    order = list(VARIANTS)
    return sorted(rows, key=lambda row: (order.index(row["variant"]), row["seed"]))


def write_table(folder: Path) -> Path:
    """Of all rows in the folder; returns the table's path."""
    rows = read_rows(folder)
    lines = [_budget(rows[0]), ""]
    for network in dict.fromkeys(name for row in rows for name in row["frechet"]):
        lines += [*_distances(network, rows), ""]
    path = folder / TABLE
    partial = folder / f".{TABLE}.partial"
    partial.write_text("\n".join(lines), encoding="utf-8")
    os.replace(partial, path)
    return path


def _budget(row: dict[str, Any]) -> str:
    conditions = row["conditions"]
    spent = (
        f"{conditions['minutes']} minutes"
        if conditions["minutes"] is not None
        else f"{conditions['tokenizer_steps']} and {conditions['transformer_steps']} steps"
    )
    return (
        f"Tokenizer and transformer trained for {spent} of {conditions['batch_size']} images. "
        f"{conditions['samples']} samples, with guidance {row['guidance_scale']} and with none."
    )


def _distances(network: str, rows: list[dict[str, Any]]) -> list[str]:
    """Fréchet distances by one network, and what goes with them."""
    floors = [row["frechet"][network]["floor"] for row in rows if network in row["frechet"]]
    lines = [
        f"Fréchet distances by {network}, with 95 % intervals; "
        f"floor {floors[0]['distance']:.3g}, {' against '.join(map(str, floors[0]['counts']))}.",
        "",
        "| variant | seed | bands | tokens | PSNR, dB | reconstructions | guided | unguided "
        "| class accuracy, guided | unguided |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    return lines + [
        _line(row, row["frechet"][network]) for row in rows if network in row["frechet"]
    ]


def _line(row: dict[str, Any], distances: dict[str, Any]) -> str:
    accuracy = row["class_accuracy"]
    cells = [
        row["variant"],
        row["seed"],
        row["bands"],
        row["tokens"],
        f"{row['psnr']:.2f}",
        *(_estimate(distances[of]) for of in ("reconstructions", "guided", "unguided")),
        *(f"{accuracy[of]:.1%}" for of in ("guided", "unguided")),
    ]
    return f"| {' | '.join(map(str, cells))} |"


def _estimate(figures: dict[str, Any]) -> str:
    return f"{figures['distance']:.3g} ({figures['low']:.3g} to {figures['high']:.3g})"
