"""What FastAPI cannot know of our OpenAPI document: how errors look, and what needs a key."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

_SCHEME = "api_key"
_LINKS = ("/events", "/images/{index}", "/pictures/{digest}")
"""How the paths end that may be open to whoever knows the job's id."""
_TEXT = {"type": "string"}
_STATUS = {"type": "integer", "minimum": 400, "maximum": 599}
_FIELD = {"type": ["string", "null"]}
_SHAPES: dict[str, dict[str, Any]] = {
    "Problem": {
        "description": "RFC 9457 problem details; `field` names the input at fault.",
        "type": "object",
        "properties": {
            **dict.fromkeys(["type", "title", "detail", "code", "request_id", "field"], _TEXT),
            "status": _STATUS,
        },
        "required": ["type", "title", "status", "detail", "code", "request_id"],
    },
    "OpenAIError": {
        "description": "OpenAI's error object; `param` names the input at fault.",
        "type": "object",
        "properties": {
            "error": {
                "type": "object",
                "properties": {
                    **dict.fromkeys(["message", "type", "code", "request_id"], _TEXT),
                    "param": _FIELD,
                    "status": _STATUS,
                },
                "required": ["message", "type", "param", "code", "status", "request_id"],
            }
        },
        "required": ["error"],
    },
}


def complete_document(app: FastAPI, *, asks_for_keys: bool, links_without_key: bool) -> None:
    """Makes the app's document say it."""
    plain = app.openapi

    def completed() -> dict[str, Any]:
        document = plain()
        components = document.setdefault("components", {})
        components.setdefault("schemas", {}).update(_SHAPES)
        if asks_for_keys:
            components["securitySchemes"] = {_SCHEME: {"type": "http", "scheme": "bearer"}}
        for path, operations in document["paths"].items():
            for operation in operations.values() if path.startswith("/v1/") else ():
                _describe_errors(operation, path)
                if asks_for_keys:
                    by_link = links_without_key and path.endswith(_LINKS)
                    operation["security"] = [{_SCHEME: []}, {}] if by_link else [{_SCHEME: []}]
        return document

    app.openapi = completed  # type: ignore[method-assign]


def _describe_errors(operation: dict[str, Any], path: str) -> None:
    """Every error of an operation has the one shape, whatever its status."""
    openai = path.startswith("/v1/images/")
    media = "application/json" if openai else "application/problem+json"
    shape = "OpenAIError" if openai else "Problem"
    error = operation["responses"].setdefault("default", {"description": "An error."})
    error["content"] = {media: {"schema": {"$ref": f"#/components/schemas/{shape}"}}}
