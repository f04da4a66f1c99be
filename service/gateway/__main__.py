"""`python -m service.gateway`: serves REST, and gRPC where asked to, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket

import uvicorn

from service.gateway.rest.app import create_app
from service.gateway.rpc.server import RpcDoor
from service.jobs.redis_queue import RedisQueue
from service.logs import configure_logs
from service.metrics import Metrics
from service.settings import GatewaySettings, read_settings

logger = logging.getLogger("service.gateway")


class _Server(uvicorn.Server):
    """Shuts the gRPC door, if there is one, together with its own."""

    def __init__(self, config: uvicorn.Config, rpc: RpcDoor | None) -> None:
        super().__init__(config)
        self._rpc = rpc

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        async with asyncio.TaskGroup() as doors:
            if self._rpc is not None:
                doors.create_task(self._rpc.close())
            doors.create_task(super().shutdown(sockets))


def main() -> None:
    settings = read_settings(GatewaySettings)
    configure_logs(process="gateway")
    try:
        asyncio.run(serve(settings))
    except ValueError as error:
        raise SystemExit(f"gateway: {error}") from None


async def serve(settings: GatewaySettings) -> None:
    """Returns after SIGTERM or SIGINT, when open requests have ended or their grace is over."""
    # uvicorn raises the signal again once it has stopped; by then it has had its effect.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    queue = RedisQueue.from_settings(settings)
    try:
        app = create_app(queue=queue, settings=settings, metrics=Metrics())
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            server_header=False,
            # Without it an open stream would keep the process alive for as long as it lasts.
            timeout_graceful_shutdown=settings.shutdown_grace_seconds,
        )
        if settings.grpc_port:
            async with RpcDoor(app.state.services) as rpc:
                logger.info("gRPC on %s:%d", settings.host, rpc.port)
                await _Server(config, rpc).serve()
        else:
            await _Server(config, None).serve()
    finally:
        await queue.close()


if __name__ == "__main__":
    main()
