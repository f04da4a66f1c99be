"""The listener for probes and Prometheus, where they are not to be on the public one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from fastapi import FastAPI

from service.gateway.rest import errors, health
from service.gateway.rest.errors import ErrorMiddleware
from service.gateway.rest.request_id import RequestIdMiddleware
from service.gateway.services import Services


def create_internal_app(services: Services) -> FastAPI:
    """Health and metrics alone, over the services of the public app."""
    app = FastAPI(title="NFIG Serve, internal", openapi_url=None, redirect_slashes=False)
    app.state.services = services
    app.add_middleware(ErrorMiddleware)
    app.add_middleware(RequestIdMiddleware)
    errors.install(app)
    app.include_router(health.router())
    return app


@asynccontextmanager
async def internal_listener(services: Services) -> AsyncGenerator[None]:
    """Serves while the block runs, if the settings name a port for it."""
    settings = services.settings
    if settings.internal_port is None:
        yield
        return
    config = uvicorn.Config(
        create_internal_app(services),
        host=settings.internal_host,
        port=settings.internal_port,
        log_config=None,
        server_header=False,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    server = _Beside(config)
    serving = asyncio.create_task(server.serve())
    try:
        yield
    finally:
        server.should_exit = True
        await serving


class _Beside(uvicorn.Server):
    """Leaves signals to the public server; the probes are answered until that one is done."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield
