"""Laws of the gRPC door of `python -m service.gateway` as a process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from service.stack.redis_server import RedisServer

COMMAND = [sys.executable, "-m", "service.gateway"]
NAME = "nfig.v1.ImageGenerationService"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(log: Path, redis_url: str) -> Iterator[tuple[subprocess.Popen[bytes], grpc.Channel]]:
    grpc_port = free_port()
    environment = {
        **os.environ,
        "NFIG_REDIS_URL": redis_url,
        "NFIG_PORT": str(free_port()),
        "NFIG_GRPC_PORT": str(grpc_port),
    }
    with log.open("wb") as file:
        process = subprocess.Popen(COMMAND, env=environment, stderr=file, stdout=file)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=60)
            yield process, channel
    finally:
        process.kill()
        process.wait()


def test_sigterm_tells_watchers_of_its_health_and_ends_in_order(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with running(log, redis_server.url) as (process, channel):
        health = HealthStub(channel)
        question = health_pb2.HealthCheckRequest(service=NAME)
        assert health.Check(question, timeout=5).status == health_pb2.HealthCheckResponse.SERVING
        seen: list[int] = []
        watching = threading.Thread(
            target=lambda: seen.extend(answer.status for answer in health.Watch(question))
        )
        watching.start()
        while not seen:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0
        watching.join(timeout=5)
    statuses = health_pb2.HealthCheckResponse
    assert seen == [statuses.SERVING, statuses.NOT_SERVING]
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("taken", ["NFIG_PORT", "NFIG_GRPC_PORT"])
def test_a_port_that_is_taken_stops_the_start_in_order(taken: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ports = {"NFIG_PORT": str(free_port()), "NFIG_GRPC_PORT": str(free_port())}
        ports[taken] = str(listener.getsockname()[1])
        environment = {**os.environ, **ports}
        ended = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0
    assert ports[taken] in ended.stderr
    assert "Traceback" not in ended.stderr
