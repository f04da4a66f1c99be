"""The OpenAPI document's ranges are those that are checked."""

from __future__ import annotations

from typing import Any

import pytest

from service.gateway.rest.ranges import RANGES

PATHS = ["/v1/images/generations", "/v1/jobs"]
BESIDE: dict[str, dict[str, Any]] = {
    "output_compression": {"output_format": "jpeg"},
    "picture_quality": {"picture_format": "jpeg"},
    "partial_images": {"stream": True},
}


def outside(name: str) -> list[Any]:
    """The nearest values that the document rules out."""
    found = RANGES[name]
    below = [found["minimum"] - 1] if "minimum" in found else [found["exclusiveMinimum"]]
    above = [found["maximum"] + 1] if "maximum" in found else []
    return [*below, *above, *([found["exclusiveMaximum"]] if "exclusiveMaximum" in found else [])]


@pytest.mark.parametrize("path", PATHS)
async def test_what_the_document_rules_out_is_refused_by_name(gateway: Any, path: str) -> None:
    document = (await gateway.client.get("/openapi.json")).json()
    content = document["paths"][path]["post"]["requestBody"]["content"]
    fields = content["application/json"]["schema"]["properties"]
    named = [name for name in fields if name in RANGES]
    assert len(named) > 8
    for name in named:
        assert {key: fields[name][key] for key in RANGES[name]} == RANGES[name]
        for value in outside(name):
            body = {"class_label": 1, **BESIDE.get(name, {}), name: value}
            answer = await gateway.client.post(path, json=body)
            assert answer.status_code == 400, (name, value)
            problem = answer.json()
            assert problem.get("field", problem.get("error", {}).get("param")) == name
