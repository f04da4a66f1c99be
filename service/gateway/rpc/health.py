"""`grpc.health.v1.Health`: serving while Redis answers and the process is not told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from service.errors import QueueUnavailable
from service.gateway.cards import answered_within
from service.gateway.services import Services

POLL_SECONDS = 1.0
"""How soon a watcher is told of a change, and how old what a prober is told may be."""
_Status = health_pb2.HealthCheckResponse


class Health:
    """Keeps the shape of the generated servicer; the empty name stands for the whole server."""

    def __init__(self, services: Services, *, names: frozenset[str]) -> None:
        self._services = services
        self._names = names | {""}
        self._draining = asyncio.Event()
        self._asking = asyncio.Lock()
        self._answer = False
        self._expires = 0.0

    def drain(self) -> None:
        """Not serving from now on; ends every watch."""
        self._draining.set()

    async def Check(self, request: Any, context: Any) -> Any:
        if request.service not in self._names:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service here")
        return _Status(status=await self._status())

    async def Watch(self, request: Any, context: Any) -> AsyncGenerator[Any]:
        known = request.service in self._names
        told = None
        while True:
            status = await self._status() if known else _Status.SERVICE_UNKNOWN
            if status != told:
                yield _Status(status=status)
                told = status
            if self._draining.is_set():
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._draining.wait()

    async def _status(self) -> Any:
        serving = not self._draining.is_set() and await self._queue_answers()
        return _Status.SERVING if serving else _Status.NOT_SERVING

    async def _queue_answers(self) -> bool:
        """Asks Redis at most twice a second, however many want to know."""
        async with self._asking:
            now = asyncio.get_running_loop().time()
            if now >= self._expires:
                self._answer = await self._ping()
                self._expires = now + POLL_SECONDS / 2
            return self._answer

    async def _ping(self) -> bool:
        limit = self._services.settings.queue_timeout_seconds
        try:
            await answered_within(limit, self._services.queue.ping())
        except QueueUnavailable:
            return False
        return True
