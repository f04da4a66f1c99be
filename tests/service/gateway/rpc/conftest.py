"""Real gRPC doors on free ports of 127.0.0.1, and real clients of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import pytest

from nfig_proto.v1.image_generation_pb2_grpc import ImageGenerationServiceStub
from service.gateway.rest.app import create_app
from service.gateway.rpc.server import RpcDoor
from service.gateway.services import Services
from service.jobs.memory_queue import MemoryQueue
from service.metrics import Metrics
from service.settings import GatewaySettings


@dataclass(frozen=True)
class Door:
    """A door under test, with the REST door beside it."""

    door: RpcDoor
    queue: Any
    services: Services
    channel: Any
    stub: Any
    rest: httpx.AsyncClient

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.door.port}"


OpenDoor = Callable[..., Awaitable[Door]]


@pytest.fixture
async def open_door(scripted_queue: Any) -> AsyncGenerator[OpenDoor]:
    """Opens doors; keyword arguments are settings."""
    opened: list[Door] = []

    async def open_one(queue: Any = None, **values: object) -> Door:
        defaults = {"models_ttl_seconds": 0, "queue_timeout_seconds": 0.2}
        settings = GatewaySettings(**{**defaults, "shutdown_grace_seconds": 0, **values})
        queue = queue or scripted_queue()
        app = create_app(queue=queue, settings=settings, metrics=Metrics())
        door = RpcDoor(app.state.services)
        await door.open()
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{door.port}")
        rest = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://gateway")
        stub = ImageGenerationServiceStub(channel)
        opened.append(Door(door, queue, app.state.services, channel, stub, rest))
        return opened[-1]

    yield open_one
    for each in opened:
        await each.channel.close()
        await each.door.close()
        await each.rest.aclose()


@pytest.fixture
async def door(open_door: OpenDoor) -> Door:
    """A door over a scripted queue."""
    return await open_door()


@pytest.fixture
async def whole_door(open_door: OpenDoor, queue: MemoryQueue) -> Door:
    """A door over a queue that is drawn from, as in real life."""
    return await open_door(queue, queue_timeout_seconds=5)
