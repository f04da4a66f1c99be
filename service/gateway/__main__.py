"""`python -m service.gateway`: serves REST until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import signal

import uvicorn

from service.gateway.rest.app import create_app
from service.jobs.redis_queue import RedisQueue
from service.logs import configure_logs
from service.metrics import Metrics
from service.settings import GatewaySettings, read_settings


def main() -> None:
    settings = read_settings(GatewaySettings)
    configure_logs(process="gateway")
    asyncio.run(serve(settings))


async def serve(settings: GatewaySettings) -> None:
    """Returns after SIGTERM or SIGINT, when open requests have ended or their grace is over."""
    # uvicorn raises the signal again once it has stopped; by then it has had its effect.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    queue = RedisQueue.from_settings(settings)
    try:
        app = create_app(queue=queue, settings=settings, metrics=Metrics())
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
        await uvicorn.Server(config).serve()
    finally:
        await queue.close()


if __name__ == "__main__":
    main()
