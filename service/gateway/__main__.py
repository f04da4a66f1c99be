"""`python -m service.gateway`: serves REST, and gRPC where asked to, until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI

from service.gateway.access.access import check_exposure
from service.gateway.drain import Drain
from service.gateway.rest.app import create_app
from service.gateway.rest.internal import internal_listener
from service.gateway.rpc.server import RpcDoor
from service.gateway.services import Services
from service.jobs.redis_queue import RedisQueue
from service.logs import configure_logs
from service.metrics import Metrics
from service.settings import GatewaySettings, read_settings
from service.tracing import start_tracing, stop_tracing

logger = logging.getLogger(__name__)


class _Server(uvicorn.Server):
    """Shuts the gRPC door, if there is one, together with its own, and tells the app: by itself it
    would wait for streams that know nothing of it."""

    def __init__(self, config: uvicorn.Config, rpc: RpcDoor | None, drain: Drain) -> None:
        super().__init__(config)
        self._rpc = rpc
        self._drain = drain

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        self._drain.begin()
        async with asyncio.TaskGroup() as doors:
            if self._rpc is not None:
                doors.create_task(self._rpc.close())
            doors.create_task(super().shutdown(sockets))


def main() -> None:
    settings = read_settings(GatewaySettings)
    configure_logs(process="gateway")
    try:
        logger.info(check_exposure(settings))
        start_tracing(settings.tracing_endpoint, process="gateway")
    except ValueError as error:
        raise SystemExit(str(error)) from None
    try:
        asyncio.run(serve(settings))
    finally:
        stop_tracing()


async def serve(settings: GatewaySettings) -> None:
    """Returns after SIGTERM or SIGINT, when open requests have ended or their grace is over."""
    # uvicorn raises the signal again once it has stopped; by then it has had its effect.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    queue = await _queue(settings)
    try:
        app = _app(queue, settings)
        services = app.state.services
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, services.access.reload)
        # What is there by now stays for good. Left to the collector, it would be looked through
        # again and again, and for as long as that takes every watcher waits.
        gc.collect()
        gc.freeze()
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            # Each job has a line of ours, with its request's id; a second one costs as much again.
            access_log=False,
            server_header=False,
            # Without it an open stream would keep the process alive for as long as it lasts.
            timeout_graceful_shutdown=settings.shutdown_grace_seconds,
        )
        async with internal_listener(services), _rpc_door(services) as rpc:
            await _Server(config, rpc, services.drain).serve()
    finally:
        await queue.close()


async def _queue(settings: GatewaySettings) -> RedisQueue:
    try:
        queue = RedisQueue.from_settings(settings)
        await queue.require_usable()
    except ValueError as error:
        raise SystemExit(f"gateway: {error}") from None
    return queue


def _app(queue: RedisQueue, settings: GatewaySettings) -> FastAPI:
    try:
        return create_app(queue=queue, settings=settings, metrics=Metrics())
    except ValueError as error:
        raise SystemExit(f"NFIG_API_KEYS_FILE: {error}") from None


@asynccontextmanager
async def _rpc_door(services: Services) -> AsyncGenerator[RpcDoor | None]:
    """Open while the block runs, if the settings name a port for it."""
    if not services.settings.grpc_port:
        yield None
        return
    door = RpcDoor(services)
    try:
        await door.open()
    except ValueError as error:
        raise SystemExit(str(error)) from None
    logger.info("gRPC on %s:%d", services.settings.host, door.port)
    try:
        yield door
    finally:
        await door.close()


if __name__ == "__main__":
    main()
