"""The page of an evaluation: its figures in words, its pictures beside it, its plots inside."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nfig.evaluation import pictures
from nfig.evaluation.plot import spectrum_plot
from nfig.evaluation.reconstruction import Spectra

PAGE = "index.html"
SCORERS = {
    "efficientnet_lite0": "EfficientNet-Lite0",
    "classifier": "classifier",
    "reference": "reference statistics",
}

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1060px; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse; margin: 1em 0 }
th, td { text-align: left; padding: .2em 1em .2em 0; border-bottom: 1px solid #ddd }
td:not(:first-child) { font-variant-numeric: tabular-nums }
img { max-width: 100%; image-rendering: pixelated }
figure { display: inline-block; margin: 0 1em 1em 0 }
svg text { font-size: 10px }
pre { overflow-x: auto; background: #f6f6f6; padding: 1em }
"""


def write_page(folder: Path, report: Mapping[str, Any], spectra: Spectra) -> Path:
    """Writes the page into a folder that has the pictures; returns its path."""
    name = report["identity"]["checkpoint"]["name"]
    lines = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f"<title>{html.escape(name)}: evaluation</title><style>{_STYLE}</style></head><body>",
        f"<h1>{html.escape(name)}</h1>",
        *(f"<p>{html.escape(note)}</p>" for note in report["notes"]),
        *_sample_figures(report),
        *_sample_pictures(),
        *_reconstruction(report["reconstruction"]),
        *_spectra(spectra),
        *_previews(report["previews"]),
        *_memorising(report["memorising"]),
        "<h2>Identity</h2>",
        f"<pre>{html.escape(json.dumps(report['identity'], indent=2))}</pre>",
        "</body></html>",
    ]
    page = folder / PAGE
    partial = page.with_name(f".{PAGE}.partial")
    partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.replace(partial, page)
    return page


def _sample_figures(report: Mapping[str, Any]) -> list[str]:
    rows = []
    for scorer, label in SCORERS.items():
        for of, figures in (report["frechet"][scorer] or {}).items():
            interval = f"{figures['low']:.2f} to {figures['high']:.2f}"
            counts = " against ".join(str(count) for count in figures["counts"])
            rows.append([f"{label}, {of}", f"{figures['distance']:.2f}", interval, counts])
    covered = report["precision_recall"]
    shares = [
        [name, f"{covered[key]['precision']:.3f}", f"{covered[key]['recall']:.3f}"]
        for key, name in (("samples", "samples"), ("training_images", "training images"))
    ]
    accuracy = report["class_accuracy"] or {}
    return [
        "<h2>Samples in figures</h2>",
        *_table(
            [
                "Fréchet distance to held-out images, or to statistics",
                "",
                "95 % interval",
                "images",
            ],
            rows,
        ),
        f"<p>{html.escape(report['frechet']['method'])}</p>",
        *_table([f"{covered['count']} against as many held-out", "precision", "recall"], shares),
        *_table(
            ["class accuracy", ""],
            [[key.replace("_", " "), f"{value:.2%}"] for key, value in accuracy.items()],
        ),
    ]


def _sample_pictures() -> list[str]:
    return [
        "<h2>Samples</h2>",
        "<p>The first ones, all classes in turn. Nobody picked them.</p>",
        _picture(pictures.SAMPLES, "samples"),
        "<h2>Band by band</h2>",
        "<p>The first samples after each band.</p>",
        _picture(pictures.STRIPS, "a sample in each row, a band in each column"),
    ]


def _reconstruction(figures: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            str(band["band"]),
            f"{band['psnr_upto_band']:.2f}",
            "{} to {}".format(*band["cycles_per_image"]),
            _or_nothing(band["spectrum_error"]),
            _or_nothing(band["spectrum_error_upto_band"]),
        ]
        for band in figures["bands"]
    ]
    rows.append(["above", "", "", _or_nothing(figures["spectrum_error_above_all_bands"]), ""])
    heads = ["band", "PSNR up to it, dB", "cycles per image", "spectrum error", "up to the band"]
    return [
        "<h2>Held-out images, reconstructed</h2>",
        *_table(heads, rows),
        f"<p>Of the codebook, {figures['codebook_used']:.2%} is used.</p>",
        "<p>In each row the original, then what is decoded up to each band.</p>",
        _picture(pictures.RECONSTRUCTIONS, "originals and reconstructions"),
    ]


def _spectra(spectra: Spectra) -> list[str]:
    lines = [
        "<h2>Spectra</h2>",
        "<p>Power over cycles per image: originals dark, decoded up to the band coloured, "
        "the range that the band adds shaded.</p>",
    ]
    for band, (decoded, within) in enumerate(zip(spectra.upto_band, spectra.ranges, strict=True)):
        plot = spectrum_plot(spectra.originals, decoded, within, f"band {band}")
        lines.append(f"<figure>{plot}<figcaption>band {band}</figcaption></figure>")
    return lines


def _previews(figures: Mapping[str, Any] | None) -> list[str]:
    if figures is None:
        return []
    rows = [
        [
            f"band {band['band']}, {band['side']} pixels wide",
            f"{band['psnr']:.2f}",
            f"{band['psnr_limit']:.2f}",
            f"{band['flops_share']:.2%}",
            f"{band['time_share']:.2%}",
        ]
        for band in figures["bands"]
    ]
    totals = figures["all_bands"]
    rows.append(["all", "", "", f"{totals['flops_share']:.2%}", f"{totals['time_share']:.2%}"])
    heads = ["preview of", "PSNR, dB", "at most", "FLOPs of a decode", "time of a decode"]
    return [
        "<h2>Previews</h2>",
        "<p>The preview decoder's pictures beside the decoder's of the same canvases.</p>",
        *_table(heads, rows),
    ]


def _memorising(figures: Mapping[str, Any]) -> list[str]:
    views = {
        "EfficientNet-Lite0": figures,
        "low-passed pixels, in levels of 8 bits": figures["low_pass_pixels"],
        "classifier": figures["classifier"],
    }
    lines = ["<h2>Nearest training images</h2>"]
    for name, view in views.items():
        lines += _nearness(name, view) if view else []
    return [
        *lines,
        "<p>The first samples, each with its nearest training images.</p>",
        _picture(pictures.NEIGHBOURS, "first samples and their nearest training images"),
        "<p>The samples that are nearest of all to a training image.</p>",
        _picture(pictures.NEAREST, "nearest samples and their nearest training images"),
        "<p>The same by their low-passed pixels.</p>",
        _picture(pictures.NEAREST_BY_PIXELS, "nearest samples by their pixels"),
    ]


def _nearness(name: str, figures: Mapping[str, Any]) -> list[str]:
    columns = (figures["quantiles"], figures["samples"], figures["held_out_images"])
    rows = [[f"{q:.0%}", f"{a:.3f}", f"{b:.3f}"] for q, a, b in zip(*columns, strict=True)]
    share = figures["samples_nearer_than_1_in_100_held_out_images"]
    return [
        *_table([f"quantile of distances, {name}", "samples", "held-out images"], rows),
        f"<p>{share:.2%} of the samples are nearer to a training image than the nearest 1 % of "
        "the held-out images.</p>",
    ]


def _picture(name: str, description: str) -> str:
    return f'<p><img src="{name}" alt="{html.escape(description)}"></p>'


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    head = "".join(f"<th>{html.escape(text)}</th>" for text in heads)
    body = [
        "<tr>" + "".join(f"<td>{html.escape(text)}</td>" for text in row) + "</tr>" for row in rows
    ]
    return ["<table>", f"<tr>{head}</tr>", *body, "</table>"]


def _or_nothing(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
