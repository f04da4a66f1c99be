"""Which web pages may call the API from a browser: none, unless the settings name their origins."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from service.settings import GatewaySettings

_REQUEST_HEADERS = [
    "authorization",
    "content-type",
    "idempotency-key",
    "if-none-match",
    "last-event-id",
    "prefer",
    "x-request-id",
]
_ANSWER_HEADERS = [
    "etag",
    "idempotency-replayed",
    "location",
    "openai-processing-ms",
    "preference-applied",
    "retry-after",
    "server-timing",
    "x-nfig-bands-completed",
    "x-nfig-job",
    "x-nfig-model",
    "x-nfig-seed",
    "x-nfig-shed",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-request-id",
    "x-should-retry",
]


def install(app: FastAPI, settings: GatewaySettings) -> None:
    """Without credentials: keys travel in a header that a page must set itself."""
    origins = [part.strip() for part in settings.cors_origins.split(",") if part.strip()]
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=_REQUEST_HEADERS,
            expose_headers=_ANSWER_HEADERS,
        )
