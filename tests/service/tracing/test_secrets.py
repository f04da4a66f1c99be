"""Keys, passwords, pictures and refused prompts end up in no log line, span or error answer."""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from nfig_proto.v1 import image_generation_pb2 as pb
from nfig_proto.v1.image_generation_pb2_grpc import ImageGenerationServiceStub
from service.gateway.access.keys import new_key
from service.gateway.rest.app import create_app
from service.gateway.rpc.server import RpcDoor
from service.jobs.redis_connection import connect
from service.jobs.redis_queue import RedisQueue
from service.logs import configure_logs
from service.metrics import Metrics
from service.settings import GatewaySettings
from service.stack.redis_server import RedisServer, start_redis
from service.tracing import start_tracing, stop_tracing
from tests.in_process_worker import working
from tests.service.tracing.collector import Collector

PASSWORD = "planted-password"
PROMPT = "planted-prompt"
PICTURE = "planted-picture"
STRANGE_KEY = "nfig-planted-key"
JSON = {"content-type": "application/json"}
JOBS = "/v1/jobs"
GENERATIONS = "/v1/images/generations"
VARIATIONS = "/v1/images/variations"


@dataclass(kw_only=True)
class Doors:
    """Both doors of a gateway, and what it has answered with errors."""

    rest: httpx.AsyncClient
    rpc: Any
    key: str
    errors: list[str]

    async def post(
        self,
        path: str,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
        **request: Any,
    ) -> int:
        headers = {"authorization": f"Bearer {key or self.key}", **(headers or {})}
        answer = await self.rest.post(path, headers=headers, **request)
        if answer.status_code >= 400:
            self.errors.append(f"{answer.headers} {answer.text}")
        return answer.status_code

    async def generate(self, spec: pb.ImageSpec, *, key: str | None = None) -> grpc.StatusCode:
        metadata = (("authorization", f"Bearer {key or self.key}"),)
        call = self.rpc.Generate(pb.GenerateRequest(spec=spec), metadata=metadata)
        code: grpc.StatusCode = await call.code()
        if code is not grpc.StatusCode.OK:
            self.errors.append(f"{await call.details()} {await call.trailing_metadata()}")
        return code


@pytest.fixture
async def locked_redis(tmp_path: Path) -> AsyncGenerator[tuple[RedisServer, str]]:
    """A Redis that wants a password, and its URL with it."""
    server = start_redis(tmp_path / "redis", tmp_path / "redis.log")
    client = connect(server.url)
    await client.config_set("requirepass", PASSWORD)
    await client.aclose()
    yield server, server.url.replace("://", f"://:{PASSWORD}@")
    server.stop()


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    """Everything is logged as a process of ours logs it."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    configure_logs(process="test")
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    written = io.StringIO()
    handler.setStream(written)
    yield written
    root.handlers[:], root.level = before


@asynccontextmanager
async def doors(url: str, folder: Path) -> AsyncGenerator[Doors]:
    key = new_key("acme")
    (folder / "keys.toml").write_text(key.entry)
    settings = GatewaySettings(
        redis_url=url, api_keys_file=str(folder / "keys.toml"), queue_timeout_seconds=5
    )
    queue = RedisQueue.from_settings(settings)
    app = create_app(queue=queue, settings=settings, metrics=Metrics())
    door = RpcDoor(app.state.services)
    await door.open()
    transport = httpx.ASGITransport(app=app)
    async with (
        working(queue),
        httpx.AsyncClient(transport=transport, base_url="http://gateway") as rest,
        grpc.aio.insecure_channel(f"127.0.0.1:{door.port}") as channel,
    ):
        rpc = ImageGenerationServiceStub(channel)
        try:
            yield Doors(rest=rest, rpc=rpc, key=key.key, errors=[])
        finally:
            await door.close()
    await queue.close()


async def draw_and_be_refused(doors: Doors) -> None:
    """Every door, with every secret that it is trusted with."""
    assert await doors.post(GENERATIONS, json={"prompt": "red"}) == 200
    assert await doors.post(GENERATIONS, json={"prompt": PROMPT}) == 400
    assert await doors.post(GENERATIONS, json={"prompt": [PROMPT]}) == 400
    assert await doors.post(GENERATIONS, json={"prompt": PROMPT, "n": 99}) == 400
    assert await doors.post(GENERATIONS, json={"prompt": "red"}, key=STRANGE_KEY) == 401
    torn = f'{{"prompt": "{PROMPT}'
    assert await doors.post(GENERATIONS, content=torn, headers=JSON) == 400
    assert await doors.post(JOBS, json={"class_label": "red"}) == 202
    assert await doors.post(JOBS, json={"class_label": PROMPT}) == 400
    assert await doors.post(JOBS, json={"class_label": PROMPT, "mask": PROMPT}) == 400
    form = {"class_label": "red"}
    assert await doors.post(VARIATIONS, data=form, files={"image": picture()}) == 200
    assert await doors.post(VARIATIONS, data=form, files={"image": picture()[:-40]}) == 400
    assert await doors.post(VARIATIONS, data=form, files={"image": PICTURE.encode()}) == 400
    assert await doors.post(VARIATIONS, data=form, files={"mask": picture()}) == 400
    red, planted = pb.ImageSpec(class_name="red"), pb.ImageSpec(class_name=PROMPT)
    assert await doors.generate(red) is grpc.StatusCode.OK
    assert await doors.generate(planted) is grpc.StatusCode.INVALID_ARGUMENT
    assert await doors.generate(red, key=STRANGE_KEY) is grpc.StatusCode.UNAUTHENTICATED


async def be_let_down(doors: Doors) -> None:
    """The same once Redis is gone."""
    assert await doors.post(GENERATIONS, json={"prompt": PROMPT}) >= 400
    assert await doors.post(JOBS, json={"class_label": "red"}) >= 500
    form = {"class_label": "red"}
    assert await doors.post(VARIATIONS, data=form, files={"image": picture()}) >= 500
    assert await doors.generate(pb.ImageSpec(class_name="red")) is not grpc.StatusCode.OK


def picture() -> bytes:
    """A PNG that says so in a comment."""
    info, buffer = PngInfo(), io.BytesIO()
    info.add_text("Comment", PICTURE)
    Image.new("RGB", (64, 64), (200, 30, 30)).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


@pytest.mark.parametrize("traced", [True, False])
async def test_no_secret_gets_out(
    locked_redis: tuple[RedisServer, str],
    logs: io.StringIO,
    tmp_path: Path,
    traced: bool,
) -> None:
    server, url = locked_redis
    collector = Collector()
    start_tracing(collector.url if traced else None, process="test")
    async with doors(url, tmp_path) as both:
        await draw_and_be_refused(both)
        server.stop()
        await be_let_down(both)
    stop_tracing()
    collector.stop()
    told = {
        "log": logs.getvalue(),
        "spans": b"".join(collector.bodies).decode("utf-8", "replace"),
        "errors": "\n".join(both.errors),
    }
    assert '"job_id"' in told["log"]
    assert bool(told["spans"]) is traced
    # All of it: the secret part may have dashes of its own, and what follows the last one be short.
    _, _, bits = both.key.split("-", 2)
    for where, text in told.items():
        for secret in (both.key, bits, STRANGE_KEY, PASSWORD, PROMPT, PICTURE):
            assert secret not in text, (where, secret)


async def test_a_redis_that_cannot_be_entered_is_complained_of_without_its_password(
    locked_redis: tuple[RedisServer, str], logs: io.StringIO
) -> None:
    _, url = locked_redis
    settings = GatewaySettings(redis_url=url.replace(PASSWORD, f"{PASSWORD}-of-old"))
    queue = RedisQueue.from_settings(settings)
    with pytest.raises(Exception) as caught:
        await queue.require_usable()
    await queue.close()
    logging.getLogger("service").error("it cannot start", exc_info=caught.value)
    logged = logs.getvalue()
    assert "it cannot start" in logged
    assert PASSWORD not in logged + str(caught.value) + repr(settings)
