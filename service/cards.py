"""Reads the model card that export wrote as `model.json`: the one place that knows its shape."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.domain import ModelCard


def load_card(path: Path) -> ModelCard:
    """The card at `path`. Raises ValueError that names the file and the field at fault."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"no model card at {path}: export a checkpoint first") from None
    try:
        return build_card(json.loads(text))
    except ValueError as error:
        raise ValueError(f"{path} is not a model card: {error}") from error


def build_card(values: Mapping[str, Any]) -> ModelCard:
    """The card with the given fields, all of them and no others. Raises ValueError."""
    fields = {field.name for field in dataclasses.fields(ModelCard)}
    if not isinstance(values, Mapping):
        raise ValueError("it is not a JSON object")
    if missing := fields - set(values):
        raise ValueError(f"missing field {sorted(missing)[0]}")
    if unknown := set(values) - fields:
        raise ValueError(f"unknown field {sorted(unknown)[0]}")
    plain: dict[str, Any] = {
        key: tuple(v) if isinstance(v, list) else v for key, v in values.items()
    }
    return ModelCard(**plain)
