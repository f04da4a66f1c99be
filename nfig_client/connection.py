"""Where the service is, and who asks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

DEFAULT_BASE_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True, kw_only=True)
class Connection:
    """One service as one caller reaches it."""

    base_url: str
    """Without a slash at its end."""
    api_key: str | None = field(repr=False)

    def url(self, path: str) -> str:
        return f"{self.base_url}{path}"

    def headers(self, url: str) -> Mapping[str, str]:
        """The key is for the service alone, wherever an address of its answers may lead."""
        if self.api_key is None or _origin(url) != _origin(self.base_url):
            return {}
        return {"authorization": f"Bearer {self.api_key}"}


def connection(base_url: str | None, api_key: str | None) -> Connection:
    """Arguments, or else NFIG_BASE_URL and NFIG_API_KEY. Raises ValueError that names a bad one."""
    chosen = base_url or os.environ.get("NFIG_BASE_URL") or DEFAULT_BASE_URL
    key = api_key or os.environ.get("NFIG_API_KEY") or None
    try:
        parsed = httpx.URL(chosen)
    except httpx.InvalidURL:
        parsed = httpx.URL()
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(f"base_url must be an http or https address: {chosen!r}")
    if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
        raise ValueError("api_key must be visible ASCII characters")
    return Connection(base_url=chosen.rstrip("/"), api_key=key)


def _origin(url: str) -> tuple[str, str, int | None]:
    parsed = httpx.URL(url)
    return parsed.scheme, parsed.host, parsed.port
