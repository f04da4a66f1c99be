"""Writes `dashboards/*.json`: `python deploy/observability/grafana/generate.py`.

`panels.py` says what is on them; the rest of Grafana's JSON is the same for all. A test holds the
files equal to this, and runs every query for real.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from panels import DASHBOARDS, Panel

FOLDER = Path(__file__).parent / "dashboards"
DATASOURCE = {"type": "prometheus", "uid": "nfig-prometheus"}
COLUMNS = 24
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "timeseries": ("timeseries", {}),
    "stacked": ("timeseries", {}),
    "stat": ("stat", {"reduceOptions": {"calcs": ["lastNotNull"]}}),
    "bargauge": ("bargauge", {"orientation": "vertical", "displayMode": "gradient"}),
    "heatmap": ("heatmap", {"calculate": False, "yAxis": {"unit": "s"}}),
    "cells": ("status-history", {"showValue": "auto"}),
    "table": ("table", {}),
}
MODEL_CHOICE = {
    "name": "model",
    "label": "Model",
    "type": "query",
    "datasource": DATASOURCE,
    "query": {"query": "label_values(nfig_workers, model)", "refId": "model"},
    "definition": "label_values(nfig_workers, model)",
    "refresh": 2,
    "includeAll": True,
    "allValue": ".*",
    "multi": True,
    "current": {"text": "All", "value": "$__all"},
}


def targets(panel: Panel) -> list[dict[str, Any]]:
    instant = panel.kind in ("bargauge", "stat", "table")
    formats = {"heatmap": "heatmap", "table": "table"}
    return [
        {
            "refId": chr(ord("A") + index),
            "datasource": DATASOURCE,
            "expr": expression,
            "legendFormat": name,
            "instant": instant,
            "range": not instant,
            "exemplar": panel.exemplars,
            "format": formats.get(panel.kind, "time_series"),
        }
        for index, (expression, name) in enumerate(panel.queries)
    ]


def panel_json(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    kind, options = KINDS[panel.kind]
    if panel.kind == "heatmap":
        options = {**options, "yAxis": {"unit": panel.unit}}
    stacking = {"stacking": {"mode": "normal"}, "fillOpacity": 30}
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.kind == "stacked":
        defaults["custom"] = stacking
    if panel.kind in ("bargauge", "cells"):
        defaults["color"] = {"mode": "continuous-BlYlRd"}
    return {
        "id": number,
        "title": panel.title,
        "description": panel.about,
        "type": kind,
        "datasource": DATASOURCE,
        "gridPos": place,
        "options": options,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": targets(panel),
    }


def dashboard(name: str, title: str, panels: Sequence[Panel]) -> dict[str, Any]:
    placed, column, row = [], 0, 0
    for number, panel in enumerate(panels, start=1):
        if column + panel.width > COLUMNS:
            column, row = 0, row + 8
        place = {"x": column, "y": row, "w": panel.width, "h": 8}
        placed.append(panel_json(panel, number, place))
        column += panel.width
    return {
        "uid": f"nfig-{name}",
        "title": title,
        "tags": ["nfig"],
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "templating": {"list": [MODEL_CHOICE]},
        "links": [{"type": "dashboards", "tags": ["nfig"], "title": "NFIG", "asDropdown": True}],
        "panels": placed,
    }


def texts() -> dict[str, str]:
    """The text of each file by its name."""
    return {
        f"{name}.json": json.dumps(dashboard(name, title, panels), indent=1) + "\n"
        for name, (title, panels) in DASHBOARDS.items()
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in texts().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
