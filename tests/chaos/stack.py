"""The real stack in processes of its own: two gateways, two workers, Redis behind a bad connection;
each part may be killed, paused and started again."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from service.stack.parts import answers, engine_ready
from service.stack.processes import HOST, free_port, start_process
from service.stack.redis_server import start_redis
from service.stack.triton_server import TritonServer, start_triton
from tests.chaos.proxy import Proxy

LEASE_SECONDS = 2.0
ATTENDANCE_SECONDS = 2.0
START_SECONDS = 120.0
_SETTINGS = {
    "NFIG_LEASE_SECONDS": LEASE_SECONDS,
    "NFIG_ATTENDANCE_SECONDS": ATTENDANCE_SECONDS,
    "NFIG_MAX_ATTEMPTS": 10,
    "NFIG_GRACE_SECONDS": 1,
    "NFIG_SHUTDOWN_GRACE_SECONDS": 3,
    "NFIG_REQUEST_TIMEOUT_SECONDS": 60,
    "NFIG_MAX_GENERATIONS": 8,
    "NFIG_MAX_QUEUE_DEPTH": 60,
    # One band at most: a job has to last for long enough to meet a fault.
    "NFIG_BROWNOUT_MIN_BANDS": 4,
    "NFIG_BROWNOUT_TARGET_SECONDS": 0.1,
}


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    folder: Path
    band_seconds: float = 0.25
    """So long that a worker comes back from its pause before others have drawn its jobs."""
    fenced: bool = True
    """Without, the workers are broken on purpose."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """`NFIG_*` variables that differ from those of a chaos run."""
    repository: Path | None = None
    """Of an exported model, which Triton then draws; without, a fake engine does."""


class Child(Protocol):
    @property
    def process(self) -> subprocess.Popen[bytes]: ...

    def stop(self) -> None: ...


Begin = Callable[[int], Child]
"""Starts a part for the so manieth time."""


@dataclass(kw_only=True)
class Part:
    """A process that comes and goes; what it is called stays."""

    name: str
    begin: Begin
    child: Child | None = None
    starts: int = 0

    async def start(self) -> None:
        self.starts += 1
        self.child = await asyncio.to_thread(self.begin, self.starts)

    def signal(self, number: int) -> None:
        assert self.child is not None
        self.child.process.send_signal(number)

    async def kill(self) -> None:
        self.signal(signal.SIGKILL)
        await self.gone()

    async def gone(self) -> int:
        assert self.child is not None
        return await asyncio.to_thread(self.child.process.wait, 30)

    def stop(self) -> None:
        if self.child is not None:
            # A part that was left paused would not hear of its end.
            self.child.process.send_signal(signal.SIGCONT)
            self.child.stop()


@dataclass(kw_only=True)
class ChaosStack:
    redis: Part
    proxy: Proxy
    gateways: Sequence[Part]
    workers: Sequence[Part]
    urls: Sequence[str]
    grpc_addresses: Sequence[str]
    redis_url: str
    """Past the proxy, for what is asked behind everybody's back."""
    triton: Part | None = None
    triton_proxy: Proxy | None = None
    logs: Path = field(default_factory=Path)


@asynccontextmanager
async def running(options: StackOptions) -> AsyncIterator[ChaosStack]:
    """Everything is ready to draw when the block is entered."""
    async with AsyncExitStack() as stop:
        logs = options.folder / "logs"

        def part(name: str, begin: Begin) -> Part:
            made = Part(name=name, begin=begin)
            stop.push_async_callback(asyncio.to_thread, made.stop)
            return made

        port = free_port()
        redis = part("redis", _redis(options.folder / "data", logs, port))
        await redis.start()
        proxy = Proxy(port)
        proxied = f"redis://{HOST}:{await proxy.start()}/0"
        stop.push_async_callback(proxy.close)
        wanted = {**_SETTINGS, **options.settings}
        settings = {name: str(value) for name, value in wanted.items()}
        settings["NFIG_REDIS_URL"] = proxied
        triton = triton_proxy = None
        if options.repository is not None:
            triton_proxy = Proxy(0)
            triton = part("triton", _triton(options.repository, logs, triton_proxy))
            await triton.start()
            settings["NFIG_TRITON_URL"] = f"{HOST}:{await triton_proxy.start()}"
            settings["NFIG_CARD"] = str(options.repository / "model.json")
            stop.push_async_callback(triton_proxy.close)
        ports = [(free_port(), free_port()) for _ in range(2)]
        gateways = [
            part(f"gateway-{index}", _gateway(logs, settings, index, both))
            for index, both in enumerate(ports)
        ]
        workers = [
            part(f"worker-{index}", _worker(logs, settings, index, options)) for index in range(2)
        ]
        await asyncio.gather(*(each.start() for each in [*gateways, *workers]))
        stack = ChaosStack(
            redis=redis,
            proxy=proxy,
            gateways=gateways,
            workers=workers,
            urls=[f"http://{HOST}:{each}" for each, _ in ports],
            grpc_addresses=[f"{HOST}:{each}" for _, each in ports],
            redis_url=f"redis://{HOST}:{port}/0",
            triton=triton,
            triton_proxy=triton_proxy,
            logs=logs,
        )
        await until_ready(stack)
        yield stack


async def until_ready(stack: ChaosStack) -> None:
    """Until every gateway sees an engine that can draw."""
    async with asyncio.timeout(START_SECONDS):
        for url in stack.urls:
            while not await asyncio.to_thread(_can_draw, url):
                await asyncio.sleep(0.1)


def _can_draw(url: str) -> bool:
    return answers(f"{url}/health/live") and engine_ready(url)


def _redis(data: Path, logs: Path, port: int) -> Begin:
    def begin(start: int) -> Child:
        # Each write is on the disk before it is answered: nothing may be lost at all.
        return start_redis(data, logs / f"redis-{start}.log", port=port, fsync="always").child

    return begin


def _triton(repository: Path, logs: Path, proxy: Proxy) -> Begin:
    """It comes back at other ports, which only the proxy needs to know."""
    servers: list[TritonServer] = []

    def begin(start: int) -> Child:
        # The stubs of one that was killed may live on.
        while servers:
            servers.pop().stop()
        server = start_triton(repository, logs / f"triton-{start}.log", threads=1)
        servers.append(server)
        proxy.target_port = int(server.grpc_url.rpartition(":")[2])
        return server

    return begin


def _gateway(logs: Path, settings: Mapping[str, str], index: int, ports: tuple[int, int]) -> Begin:
    doors = {"NFIG_PORT": str(ports[0]), "NFIG_GRPC_PORT": str(ports[1])}

    def begin(start: int) -> Child:
        return start_process(
            f"gateway-{index}",
            [sys.executable, "-m", "service.gateway"],
            log=logs / f"gateway-{index}-{start}.log",
            environment={**settings, **doors, "NFIG_HOST": HOST},
        )

    return begin


def _worker(logs: Path, settings: Mapping[str, str], index: int, options: StackOptions) -> Begin:
    def begin(start: int) -> Child:
        signature = start + 1000 * index
        command = [sys.executable, "-m", "tests.chaos.worker"]
        command += [str(options.band_seconds), str(signature)]
        if options.repository is not None:
            command = [sys.executable, "-m", "service.worker"]
        elif not options.fenced:
            command.append("unfenced")
        return start_process(
            f"worker-{index}",
            command,
            log=logs / f"worker-{index}-{start}.log",
            environment={**settings, "NFIG_WORKER_PORT": "0", "NFIG_ENGINE": "triton"},
        )

    return begin
