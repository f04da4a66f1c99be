"""Builds the REST app. Everything it needs is handed in; importing this module does nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from service.gateway.rest import (
    cors,
    errors,
    health,
    images,
    job_events,
    jobs,
    models,
    pictures,
    playground,
    variations,
)
from service.gateway.rest.body_limit import BodyLimitMiddleware
from service.gateway.rest.errors import ErrorMiddleware
from service.gateway.rest.openapi import complete_document
from service.gateway.rest.request_id import RequestIdMiddleware
from service.gateway.rest.request_span import RequestSpanMiddleware
from service.gateway.rest.response_headers import ResponseHeadersMiddleware
from service.gateway.services import build_services
from service.jobs.queue import JobQueue
from service.metrics import Metrics
from service.settings import GatewaySettings
from service.tracing import is_tracing

DESCRIPTION = """Images from low to high frequency, band by band. `POST /v1/images/generations` is
OpenAI's Images API: its official clients work unchanged. `POST /v1/jobs` is the same work as a
job: created, watched and cancelled by id."""


def create_app(*, queue: JobQueue, settings: GatewaySettings, metrics: Metrics) -> FastAPI:
    """The app; whoever made the queue closes it. Raises ValueError for a wrong keys file."""
    services = build_services(queue=queue, settings=settings, metrics=metrics)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        yield
        await services.generation.close()
        await services.attendance.close()
        await services.engine_watch.close()

    app = FastAPI(
        title="NFIG Serve",
        version="1",
        description=DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    # The last one added runs first.
    app.add_middleware(
        BodyLimitMiddleware,
        max_bytes=settings.max_body_bytes,
        more_bytes={variations.PATH: settings.max_upload_bytes},
    )
    app.add_middleware(ErrorMiddleware)
    cors.install(app, settings)
    app.add_middleware(ResponseHeadersMiddleware)
    if is_tracing():
        app.add_middleware(RequestSpanMiddleware)
    app.add_middleware(RequestIdMiddleware)
    errors.install(app)
    # Tried in turn: first what is asked for most.
    for module in (jobs, job_events, images, variations, pictures, models, playground):
        app.include_router(module.router())
    if settings.internal_port is None:
        app.include_router(health.router())
    complete_document(
        app,
        asks_for_keys=services.access.asks_for_keys,
        links_without_key=settings.links_without_key,
    )
    return app
