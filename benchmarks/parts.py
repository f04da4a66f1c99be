"""The processes that are measured, on free ports, with the fake engine; stopped with the block."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from service.engine.fake_engine import FAKE_CARD
from service.jobs.pace import Pace, StepTime
from service.jobs.queue import QueueLimits, WorkerStatus
from service.jobs.redis_connection import connect
from service.jobs.redis_queue import RedisQueue
from service.stack.parts import answers, engine_ready, start_gateway
from service.stack.processes import HOST, ChildProcess, free_port, start_process, wait_until
from service.stack.redis_server import start_redis

START_SECONDS = 60.0
MAX_DEPTH = 1_000_000
"""No queue of a benchmark is ever full, unless that is what it measures."""
_ENVIRONMENT = {"NFIG_MAX_QUEUE_DEPTH": str(MAX_DEPTH)}


@dataclass(frozen=True, kw_only=True)
class Server:
    """A process that answers over HTTP."""

    child: ChildProcess
    port: int
    grpc_port: int = 0

    @property
    def pid(self) -> int:
        return self.child.process.pid


@dataclass(kw_only=True)
class Parts:
    """Starts what a benchmark asks for."""

    folder: Path
    redis_url: str
    gateway: Server
    environment: Mapping[str, str]
    _stack: ExitStack = field(repr=False)

    def queue(self) -> RedisQueue:
        """The queue as a worker sees it, for benchmarks that are the worker themselves."""
        limits = QueueLimits(max_depth=MAX_DEPTH, lease_seconds=600)
        return RedisQueue(connect(self.redis_url), name="nfig", limits=limits)

    def start_worker(self, *, band_seconds: float, max_generations: int) -> None:
        """Returns once the gateway sees an engine that can draw."""
        self._start_worker(["band", str(band_seconds), str(max_generations)])

    def start_paced_worker(self, *, image_seconds: float, max_generations: int) -> None:
        """The same, with bands that take time in proportion to their tokens."""
        self._start_worker(["image", str(image_seconds), str(max_generations)])

    def _start_worker(self, arguments: list[str]) -> None:
        worker = self._start("worker", "benchmarks.fake_worker", arguments, self._redis())
        url = f"http://{HOST}:{self.gateway.port}"
        wait_until(worker, lambda: engine_ready(url), timeout_seconds=START_SECONDS)

    def start_bare(self, answers_file: Path) -> Server:
        """The endpoint that the gateway is compared with; it answers what the file says."""
        return self._start_app("bare", "benchmarks.bare_app", str(answers_file))

    def start_naive(self) -> Server:
        """One process with the model behind a lock."""
        return self._start_app("naive", "benchmarks.naive_app")

    def _start_app(self, name: str, module: str, *arguments: str) -> Server:
        port = free_port()
        child = self._start(name, module, [str(port), *arguments], {})
        url = f"http://{HOST}:{port}/openapi.json"
        wait_until(child, lambda: answers(url), timeout_seconds=START_SECONDS)
        return Server(child=child, port=port)

    def _start(
        self, name: str, module: str, arguments: list[str], environment: Mapping[str, str]
    ) -> ChildProcess:
        command = [sys.executable, "-m", module, *arguments]
        log = self.folder / f"{name}.log"
        child = start_process(name, command, log=log, environment=environment)
        self._stack.callback(child.stop)
        return child

    def _redis(self) -> dict[str, str]:
        return {**self.environment, "NFIG_REDIS_URL": self.redis_url}


@contextmanager
def running_parts(settings: Mapping[str, str] | None = None) -> Iterator[Parts]:
    """A Redis and a gateway; settings are for worker and gateway. Raises PartFailed."""
    environment = {**_ENVIRONMENT, **(settings or {})}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nfig-bench-")))
        redis = start_redis(folder / "redis", folder / "redis.log")
        stack.callback(redis.stop)
        port, grpc_port = free_port(), free_port()
        child, _ = start_gateway(
            redis.url, port, folder, grpc_port=grpc_port, environment=environment
        )
        stack.callback(child.stop)
        gateway = Server(child=child, port=port, grpc_port=grpc_port)
        yield Parts(
            folder=folder,
            redis_url=redis.url,
            gateway=gateway,
            environment=environment,
            _stack=stack,
        )


async def register_fake(queue: RedisQueue) -> None:
    """Lets the gateway accept jobs of the fake model, and estimate their end, without a worker."""
    step = StepTime(median=0.01, p90=0.02)
    pace = Pace(bands=(step,) * FAKE_CARD.num_bands, picture=step, job=step, jobs_at_once=16)
    status = WorkerStatus(
        worker_id="benchmark", model=FAKE_CARD.id, engine="fake", engine_ready=True, pace=pace
    )
    await queue.register_model(FAKE_CARD)
    await queue.heartbeat(status, ttl_seconds=3600)
