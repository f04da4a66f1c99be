"""`GET /`: the playground, a page that draws, and what it must know of this gateway.

The page is plain HTML, CSS and modules in `service/gateway/playground/`; it calls the API as any
other client does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.errors import NotFound
from service.gateway.rest.services import SharedServices

PAGE = "index.html"
_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
}
_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        # Pictures are fetched, with the key where one is asked for, and shown as blobs.
        "img-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
)
_PAGE_HEADERS = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


@dataclass(frozen=True, kw_only=True)
class PageFile:
    content: bytes
    headers: dict[str, str]
    """With an `ETag`, by which browsers ask anew each time: an upgrade shows at once."""


def router() -> APIRouter:
    routes = APIRouter(include_in_schema=False)
    page_files = _read_files(files("service.gateway") / "playground")
    pictured_models = _pictured_models(page_files)

    @routes.get("/")
    async def page(request: Request) -> Response:
        return _answer(page_files[PAGE], request)

    @routes.get("/playground/gateway.json")
    async def gateway(services: SharedServices) -> dict[str, Any]:
        settings = services.settings
        door = {"port": settings.grpc_port, "tls": bool(settings.grpc_cert_file)}
        return {
            "asks_for_keys": services.access.asks_for_keys,
            "max_images": settings.max_images,
            "grpc": door if settings.grpc_port else None,
            "class_pictures": pictured_models,
        }

    @routes.get("/playground/{name:path}")
    async def page_file(name: str, request: Request) -> Response:
        if name == PAGE or name not in page_files:
            raise NotFound("there is nothing at this path")
        return _answer(page_files[name], request)

    return routes


def _read_files(folder: Traversable, prefix: str = "") -> dict[str, PageFile]:
    """Every file below the folder by its path, kept in memory: what is not there cannot be asked
    for."""
    found: dict[str, PageFile] = {}
    for entry in folder.iterdir():
        name = prefix + entry.name
        if entry.is_dir():
            found |= _read_files(entry, f"{name}/")
        elif (suffix := f".{name.rpartition('.')[2]}") in _MEDIA_TYPES:
            found[name] = _page_file(entry.read_bytes(), _MEDIA_TYPES[suffix])
    return found


def _pictured_models(names: Iterable[str]) -> list[str]:
    """Models by id that have `classes/<id>.webp`: a picture of each class in one row."""
    folder, suffix = "classes/", ".webp"
    sprites = [name for name in names if name.startswith(folder) and name.endswith(suffix)]
    return sorted(name.removeprefix(folder).removesuffix(suffix) for name in sprites)


def _page_file(content: bytes, media_type: str) -> PageFile:
    headers = {
        "content-type": media_type,
        "etag": f'"{hashlib.sha256(content).hexdigest()}"',
        "cache-control": "no-cache",
    }
    if media_type.startswith("text/html"):
        headers |= _PAGE_HEADERS
    return PageFile(content=content, headers=headers)


def _answer(file: PageFile, request: Request) -> Response:
    if file.headers["etag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=file.headers)
    return Response(file.content, headers=file.headers)
