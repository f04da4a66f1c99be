"""The OpenAPI document says which operations need a key, where keys are asked for."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

_SCHEME = "api_key"
_LINKS = ("/events", "/images/{index}", "/pictures/{digest}")
"""How the paths end that may be open to whoever knows the job's id."""


def document_keys(app: FastAPI, *, links_without_key: bool) -> None:
    """Adds the security scheme, and what it is needed for, to the app's document."""
    plain = app.openapi

    def with_keys() -> dict[str, Any]:
        document = plain()
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes[_SCHEME] = {"type": "http", "scheme": "bearer"}
        for path, operations in document["paths"].items():
            for operation in operations.values() if path.startswith("/v1/") else ():
                by_link = links_without_key and path.endswith(_LINKS)
                operation["security"] = [{_SCHEME: []}, {}] if by_link else [{_SCHEME: []}]
        return document

    app.openapi = with_keys  # type: ignore[method-assign]
