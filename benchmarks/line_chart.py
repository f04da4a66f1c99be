"""Lines over one axis, as SVG to look at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 420, 280
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 48, 46
MAX_KEY_WIDTH, KEY_Y = 170, 32
COLOURS = ("#1f4e9c", "#d9480f", "#2b8a3e", "#862e9c")
TICKS = 5


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One set of axes; every line is a list of (x, y)."""

    title: str
    x_label: str
    y_label: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    y_from: float = 0.0


def page(charts: Sequence[Chart]) -> str:
    """Charts side by side."""
    width = WIDTH * len(charts)
    inner = [
        f'<g transform="translate({WIDTH * index},0)">{_drawn(chart)}</g>'
        for index, chart in enumerate(charts)
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" '
        f'width="{width}" height="{HEIGHT}" font-family="sans-serif" font-size="11">'
    )
    ground = f'<rect width="{width}" height="{HEIGHT}" fill="white"/>'
    return "\n".join([head, ground, *inner, "</svg>"]) + "\n"


class _Axes:
    def __init__(self, chart: Chart) -> None:
        points = [point for line in chart.lines.values() for point in line]
        self.x_step = _step(max(x for x, _ in points))
        self.x_to = self.x_step * math.ceil(max(x for x, _ in points) / self.x_step)
        self.y_from = chart.y_from
        reach = max(y for _, y in points) - chart.y_from
        self.y_step = _step(max(reach, 1e-9))
        self.y_to = chart.y_from + self.y_step * max(1, math.ceil(reach / self.y_step))

    def x(self, value: float) -> float:
        return LEFT + value / self.x_to * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.y_from) / (self.y_to - self.y_from)
        return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


def _step(reach: float) -> float:
    """A round distance of ticks, about `TICKS` of them."""
    power = 10.0 ** math.floor(math.log10(reach / TICKS))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor * TICKS >= reach)


def _drawn(chart: Chart) -> str:
    axes = _Axes(chart)
    parts = [_text(WIDTH / 2, 16, chart.title, anchor="middle"), *_grid(axes)]
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, chart.x_label, anchor="middle"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    label = _text(14, middle, chart.y_label, anchor="middle")
    parts.append(f'<g transform="rotate(-90 14 {middle:g})">{label}</g>')
    key_width = min(MAX_KEY_WIDTH, (WIDTH - LEFT) // len(chart.lines))
    for number, (name, line) in enumerate(chart.lines.items()):
        parts += _line(axes, number, line)
        parts += _key(LEFT + key_width * number, number, name)
    return "\n".join(parts)


def _grid(axes: _Axes) -> list[str]:
    parts = []
    for number in range(round((axes.y_to - axes.y_from) / axes.y_step) + 1):
        value = axes.y_from + number * axes.y_step
        y = axes.y(value)
        parts.append(
            f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd" fill="none"/>'
            + _text(LEFT - 6, y + 4, f"{value:g}", anchor="end")
        )
    for number in range(round(axes.x_to / axes.x_step) + 1):
        value = number * axes.x_step
        parts.append(_text(axes.x(value), HEIGHT - BOTTOM + 16, f"{value:g}", anchor="middle"))
    return parts


def _line(axes: _Axes, number: int, line: Sequence[tuple[float, float]]) -> list[str]:
    colour = COLOURS[number % len(COLOURS)]
    places = [(axes.x(x), axes.y(y)) for x, y in line]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>', *dots]


def _key(x: float, number: int, name: str) -> list[str]:
    stroke = f'stroke="{COLOURS[number % len(COLOURS)]}" stroke-width="2"'
    return [f'<path d="M{x:g} {KEY_Y}h16" {stroke}/>', _text(x + 22, KEY_Y + 4, name)]


def _text(x: float, y: float, text: str, *, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
