"""What docs/speed.md says of each result: a table, and what of it is better seen in a plot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.line_chart import Chart
from benchmarks.model import BATCHES, EXACT, FAST, SAME_CODE, SMALLER_VAR
from benchmarks.reports import markdown_table, newest_result

Row = Mapping[str, Any]
Line = Sequence[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Part:
    """Of the page: `text` in Markdown, and plots side by side, described by `seen`."""

    text: str
    charts: Sequence[Chart] = ()
    seen: str = ""


def model() -> Part:
    """`nfig bench` at batch 1: two profiles of ours beside VAR."""
    results = [newest_result(name) for name in (EXACT, FAST, SMALLER_VAR, SAME_CODE)]
    exact, fast, *_ = results
    head = ["", "against", "ms", "the other, ms", "speedup", "memory", "previews"]
    return Part(
        text=f"{_measured(*results)}\n\n{markdown_table(head, map(_compared, results))}",
        charts=[_milliseconds(exact, fast), _speedup(exact, fast)],
        seen="Milliseconds and speedup per band",
    )


def _compared(result: Row) -> Sequence[str]:
    options, memory, previews = result["options"], result["memory"], result["previews"]
    return [
        f"{options['model']}, {options['profile']}",
        f"{options['against']}, {options['baseline'].replace('_', ' ')}",
        *(f"{result['results'][0][side]['seconds'] * 1e3:,.0f}" for side in ("first", "second")),
        f"{result['speedup']:.2f}",
        f"{memory['grown'] / memory['total']:.2f}",
        f"{previews['added']:.0%}, {previews['first']:.0%}",
    ]


def _milliseconds(exact: Row, fast: Row) -> Chart:
    sides = {
        "var-d20": exact["results"][0]["second"],
        "nfig-d16": exact["results"][0]["first"],
        "nfig-d16, fast": fast["results"][0]["first"],
    }
    return Chart(
        title="One image of 256 px, var-d20 as published",
        x_label="band",
        y_label="milliseconds",
        lines={
            name: _by_band([seconds * 1e3 for seconds in side["seconds_per_band"]])
            for name, side in sides.items()
        },
    )


def _speedup(exact: Row, fast: Row) -> Chart:
    return Chart(
        title="Times faster than var-d20 as published",
        x_label="band",
        y_label="speedup",
        lines={
            "nfig-d16": _by_band(exact["speedup_per_band"]),
            "nfig-d16, fast": _by_band(fast["speedup_per_band"]),
        },
    )


def batches() -> Part:
    """`nfig bench` by batch size."""
    results = [newest_result(name) for name in (EXACT, BATCHES)]
    head = ["batch", "nfig-d16, images/s", "var-d20, images/s", "speedup", "of the machine's rate"]
    rows = [
        [
            f"{each['batch_size']}",
            *(f"{each[side]['images_per_second']:.3f}" for side in ("first", "second")),
            f"{each['speedup']:.2f}",
            f"{each['transformer']['of_matmul_rate']:.0%}",
        ]
        for result in results
        for each in result["results"]
    ]
    return Part(text=f"{_measured(*results)}\n\n{markdown_table(head, rows)}")


def peer() -> Part:
    """The service, its naive peer and the engine alone; and again where the service has Triton."""
    result, with_triton = (newest_result(name) for name in ("naive-peer", "naive-peer-triton"))
    rates = {row["who"]: row["images/s"] for row in result["rows"]}
    engine = [
        (float(who.removeprefix("engine, batch ")), rate)
        for who, rate in rates.items()
        if who.startswith("engine")
    ]
    ends = (engine[0][0], engine[-1][0])
    flat = {who: [(end, rates[who]) for end in ends] for who in ("service", "naive peer")}
    chart = Chart(
        title=f"{result['parameters']['clients']} callers, one model",
        x_label="batch size of the engine alone",
        y_label="images/s",
        lines={"engine alone": engine, **flat},
    )
    texts = [_reported(result), "The service with Triton:", _reported(with_triton)]
    return Part(text="\n\n".join(texts), charts=[chart], seen="Images per second of each")


def overload() -> Part:
    """What is completed and refused beyond the capacity."""
    result = newest_result("overload")
    names = ("offered images/s", "completed images/s", "completed p99 ms", "refused", "failed")
    rows = [{name: row[name] for name in names} for row in result["rows"]]
    chart = Chart(
        title="Goodput without shedding bands",
        x_label="offered images/s",
        y_label="images/s",
        lines={
            name: [(row["offered images/s"], row[f"{name} images/s"]) for row in result["rows"]]
            for name in ("completed", "capacity")
        },
    )
    text = _reported({**result, "rows": rows})
    return Part(text=text, charts=[chart], seen="Completed images against offered ones")


def report(name: str) -> Callable[[], Part]:
    """A benchmark whose table says it all."""
    return lambda: Part(text=_reported(newest_result(name)))


PARTS: Mapping[str, Callable[[], Part]] = {
    "model": model,
    "batches": batches,
    "authors-var": report("authors-var"),
    "invariance": report("invariance"),
    "naive-peer": peer,
    "whole-path": report("whole-path"),
    "latency": report("latency"),
    "gateway-cost": report("gateway-cost"),
    "watchers": report("watchers"),
    "overload": overload,
}
"""By the name of their place on the page."""


def _by_band(values: Sequence[float]) -> Line:
    return [(float(band), value) for band, value in enumerate(values)]


def _reported(result: Row) -> str:
    rows = [[_shown(value) for value in row.values()] for row in result["rows"]]
    parts = [_measured(result), markdown_table(list(result["rows"][0]), rows)]
    if result["verdict"]:
        verdict = result["verdict"]
        parts.append(f"{verdict[0].upper()}{verdict[1:]}.")
    return "\n\n".join(parts)


def _measured(*results: Row) -> str:
    dates = sorted({result["date"][:10] for result in results})
    return f"Measured {' and '.join(dates)}."


def _shown(value: object) -> str:
    match value:
        case None:
            return ""
        case float() if abs(value) < 1000:
            return f"{value:.4g}"
        case int() | float():
            return f"{value:,.0f}"
    return str(value)
