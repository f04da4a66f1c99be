"""Both clients behind one set of verbs, and a service for them to speak to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any, cast

import pytest

from nfig_client import AsyncClient, Backoff, Client
from tests.nfig_client.gateway_thread import GatewayThread

QUICK = Backoff(first_seconds=0.001, longest_seconds=0.1, max_retries=8)
OpenClient = Callable[..., Client]


class Blocking:
    """An `AsyncClient` that is waited for, so that one test can hold both clients."""

    def __init__(self, *words: Any, **options: Any) -> None:
        self._closed = False
        self._runner = asyncio.Runner()
        self._client = AsyncClient(*words, **options)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def call(*words: Any, **options: Any) -> Any:
            result = method(*words, **options)
            if isinstance(result, AsyncGenerator):
                return self._iterate(result)
            return self._runner.run(result)

        return call

    def _iterate(self, events: AsyncGenerator[Any]) -> Iterator[Any]:
        async def step() -> Any:
            return await anext(events, None)

        try:
            while (event := self._runner.run(step())) is not None:
                yield event
        finally:
            self._runner.run(events.aclose())

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._runner.run(self._client.close())
        self._runner.close()


@pytest.fixture(scope="session")
def shared_gateway() -> Iterator[GatewayThread]:
    with GatewayThread() as gateway:
        yield gateway


@pytest.fixture
def gateway(shared_gateway: GatewayThread) -> GatewayThread:
    """One whose engine draws as fast as it can."""
    shared_gateway.engine.band_seconds = 0.0
    return shared_gateway


@pytest.fixture(params=[Client, Blocking], ids=["sync", "async"])
def open_client(request: pytest.FixtureRequest) -> Iterator[OpenClient]:
    """Opens clients that do not wait long before they try again."""
    opened: list[Any] = []

    def open_one(url: str, **options: Any) -> Client:
        client = request.param(url, **{"backoff": QUICK, **options})
        opened.append(client)
        return cast(Client, client)

    yield open_one
    for client in opened:
        client.close()


@pytest.fixture
def client(open_client: OpenClient, gateway: GatewayThread) -> Client:
    return open_client(gateway.url)
