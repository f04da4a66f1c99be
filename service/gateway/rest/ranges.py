"""What the OpenAPI document says of numbers' ranges.

Documented here, checked where every front door meets (`service.gateway.drafts`), whose complaint
names the field as its door calls it. A test holds both together. Bands and classes are the model's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from service.gateway.drafts import MAX_GUIDANCE_SCALE, MAX_LIMIT_MS, MAX_SEED, MAX_TEMPERATURE

_COUNT = {"minimum": 1}
_QUALITY = {"minimum": 0, "maximum": 100}
_LIMIT = {"minimum": 1, "maximum": MAX_LIMIT_MS}

RANGES: Mapping[str, Mapping[str, float]] = {
    "n": _COUNT,
    "num_images": _COUNT,
    "bands": _COUNT,
    "keep_bands": {"minimum": 0},
    "previews": {"minimum": 0},
    "partial_images": {"minimum": 0},
    "output_compression": _QUALITY,
    "picture_quality": _QUALITY,
    # A float may carry the limit through a document: a power of two survives it.
    "seed": {"minimum": 0, "exclusiveMaximum": MAX_SEED + 1},
    "guidance_scale": {"minimum": 0, "maximum": MAX_GUIDANCE_SCALE},
    "top_k": {"minimum": 0},
    "top_p": {"exclusiveMinimum": 0, "maximum": 1},
    "temperature": {"exclusiveMinimum": 0, "maximum": MAX_TEMPERATURE},
    "deadline_ms": _LIMIT,
    "start_within_ms": _LIMIT,
}


def with_ranges(*examples: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    """For `json_schema_extra`: the ranges of the fields that a body has, and examples of it."""

    def extend(schema: dict[str, Any]) -> None:
        for name, field in schema["properties"].items():
            field.update(RANGES.get(name, {}))
        if examples:
            schema["examples"] = list(examples)

    return extend
