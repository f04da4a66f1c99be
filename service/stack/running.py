"""The whole service on one machine: started in order, stopped in the opposite one."""

from __future__ import annotations

import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from service.stack import parts
from service.stack.choice import EngineName
from service.stack.parts import Part, RedisPart, TritonPart, WorkerPlan
from service.stack.processes import HOST, ChildProcess, PartFailed, free_port, wait_until
from service.stack.progress import Progress
from service.stack.triton_keeper import TritonKeeper


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """What to start."""

    engine: EngineName
    checkpoint: Path
    """Folder of a trained checkpoint; the fake engine needs none."""
    repository: Path
    """Model repository that the checkpoint is exported into."""
    logs: Path
    port: int = 0
    """Wanted port of the gateway; another free one if it is taken, any free one for 0."""
    grpc_port: int = 0
    """The same for its gRPC door."""


@dataclass(frozen=True, kw_only=True)
class RunningStack:
    """Where the parts answer."""

    gateway_url: str
    grpc_address: str
    worker_metrics_url: str
    redis: RedisPart
    triton: TritonPart | None
    worker: ChildProcess
    gateway: ChildProcess
    parts: tuple[Part, ...]
    """In the order in which they were started."""

    def _engine_draws(self) -> bool | None:
        states = parts.engine_states(self.gateway_url)
        # A worker that is away says nothing of Triton.
        return "ready" in states if {"ready", "not_ready"} & set(states) else None

    def dead_part(self) -> Part | None:
        """One that has ended by itself, if any."""
        return next((part for part in self.parts if part.exit_status() is not None), None)

    def watch(self, say: Callable[[str], None] = print) -> NoReturn:
        """Runs until a part ends by itself; but Triton is started anew, when it has ended or does
        not draw any more, and `say` told. Raises PartFailed that names the part."""
        keeper = None
        if self.triton is not None:
            keeper = TritonKeeper(self.triton, self._engine_draws, say=say)
        while True:
            if keeper is not None:
                keeper.look()
            if (dead := self.dead_part()) is not None:
                break
            time.sleep(0.5)
        raise PartFailed(dead.name, f"ended by itself with status {dead.exit_status()}", dead.log)


@contextmanager
def run_stack(options: StackOptions, progress: Progress) -> Iterator[RunningStack]:
    """Everything is ready when the block is entered, and stopped when it is left.

    Raises PartFailed that names the part and its log.
    """
    started: list[Part] = []
    with tempfile.TemporaryDirectory(prefix="nfig-stack-") as data:
        try:
            yield _start(options, progress, Path(data), started)
        finally:
            with _no_interruption():
                for part in reversed(started):
                    part.stop()


def _start(
    options: StackOptions, progress: Progress, data: Path, started: list[Part]
) -> RunningStack:
    """Appends each part to `started` as soon as it exists, so that a failure stops them all."""
    if options.engine != "fake":
        with progress.step("export") as step:
            step.detail = parts.export_checkpoint(
                options.checkpoint, options.repository, options.logs
            )
    with progress.step("Redis") as step:
        redis = parts.start_redis_part(data, options.logs)
        started.append(redis)
        step.detail = redis.url
    triton = None
    if options.engine == "triton":
        with progress.step("Triton") as step:
            triton = parts.start_triton_part(options.repository, options.logs)
            started.append(triton)
            step.detail = triton.grpc_url
    with progress.step("worker") as step:
        plan = WorkerPlan(
            engine=options.engine,
            checkpoint=options.checkpoint,
            repository=options.repository,
            triton_url=triton.grpc_url if triton else None,
        )
        worker, worker_url = parts.start_worker(plan, redis.url, options.logs)
        started.append(worker)
        step.detail = f"{options.engine} engine, {worker_url}"
    with progress.step("gateway") as step:
        port, grpc_port = free_port(options.port), free_port(options.grpc_port)
        gateway, gateway_url = parts.start_gateway(
            redis.url, port, options.logs, grpc_port=grpc_port
        )
        started.append(gateway)
        grpc_address = f"{HOST}:{grpc_port}"
        step.detail = f"{gateway_url}, gRPC {grpc_address}"
    stack = RunningStack(
        gateway_url=gateway_url,
        grpc_address=grpc_address,
        worker_metrics_url=worker_url,
        redis=redis,
        triton=triton,
        worker=worker,
        gateway=gateway,
        parts=tuple(started),
    )
    with progress.step("ready to draw"):
        _wait_until_ready(stack)
    return stack


def _wait_until_ready(stack: RunningStack) -> None:
    """Until the gateway reaches Redis and sees a worker whose engine can draw."""

    def ready() -> bool:
        if dead := stack.dead_part():
            raise PartFailed(dead.name, f"ended with status {dead.exit_status()}", dead.log)
        return parts.engine_ready(stack.gateway_url)

    wait_until(stack.gateway, ready, timeout_seconds=parts.READY_SECONDS)


@contextmanager
def _no_interruption() -> Iterator[None]:
    """A second Ctrl-C must not leave a server behind. Signals reach the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with ExitStack() as restore:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            restore.callback(signal.signal, number, signal.signal(number, signal.SIG_IGN))
        yield
