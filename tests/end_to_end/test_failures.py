"""A part goes down: the caller is told which and when to come back, and nothing else falls over."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from service.stack import triton_keeper
from service.stack.choice import EngineName
from service.stack.parts import TritonPart, start_redis_part
from service.stack.processes import ChildProcess, PartFailed
from service.stack.running import RunningStack

StartStack = Callable[[EngineName | None], AbstractContextManager[RunningStack]]
BODY = {"class_label": 1, "seed": 7}
PATIENCE_SECONDS = 40.0


def post(url: str) -> httpx.Response:
    return httpx.post(f"{url}/v1/images/generations", json=BODY, timeout=60)


def eventually(happens: Callable[[], bool], *, seconds: float = PATIENCE_SECONDS) -> bool:
    deadline = time.monotonic() + seconds
    while not (happened := happens()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return happened


def error_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    assert "Traceback" not in answer.text
    error: dict[str, Any] = answer.json()["error"]
    return error


@pytest.mark.parametrize("kept", [True, False], ids=["with its data", "empty"])
def test_without_redis_requests_are_refused_and_with_it_they_work_again(
    start_stack: StartStack, tmp_path: Path, kept: bool
) -> None:
    with start_stack("fake") as stack:
        url = stack.gateway_url
        assert post(url).status_code == 200
        port = urlsplit(stack.redis.url).port
        stack.redis.stop()
        started = time.monotonic()
        assert error_of(post(url))["code"] == "queue_unavailable"
        assert time.monotonic() - started < 10
        assert httpx.get(f"{url}/health/ready").status_code == 503
        assert httpx.get(f"{url}/health/live").status_code == 200
        assert port is not None
        data = stack.redis.data if kept else tmp_path
        again = start_redis_part(data, tmp_path, port=port)
        try:
            assert eventually(lambda: post(url).status_code == 200)
            assert stack.worker.exit_status() is None
            assert stack.gateway.exit_status() is None
        finally:
            again.stop()


def test_without_triton_requests_are_refused_in_the_name_of_the_engine(
    needs_triton: None, start_stack: StartStack
) -> None:
    with start_stack("triton") as stack:
        url = stack.gateway_url
        assert post(url).status_code == 200
        assert stack.triton is not None
        stack.triton.stop()
        error = error_of(post(url))
        assert error["code"] == "engine_unavailable"
        assert "engine" in error["message"]
        assert eventually(lambda: "not_ready" in httpx.get(f"{url}/health/ready").text)
        assert error_of(post(url))["code"] == "engine_unavailable"
        assert stack.worker.exit_status() is None


@pytest.mark.parametrize("dies", ["Triton", "nfig_decoder"])
def test_a_triton_that_dies_is_started_anew_and_jobs_go_on(
    needs_triton: None, start_stack: StartStack, monkeypatch: pytest.MonkeyPatch, dies: str
) -> None:
    monkeypatch.setattr(triton_keeper, "DOUBT_SECONDS", 3.0)
    with start_stack("triton") as stack:
        url, triton = stack.gateway_url, stack.triton
        assert post(url).status_code == 200
        assert triton is not None
        watching = Thread(target=watch_until_it_ends, args=[stack])
        watching.start()
        try:
            job = httpx.post(f"{url}/v1/jobs", json={**BODY, "num_images": 8}).json()["id"]
            os.kill(process_of(triton, dies), signal.SIGKILL)
            ended = eventually(lambda: state_of(url, job) in ("completed", "failed"), seconds=120)
            assert ended
            assert state_of(url, job) == "completed"
            # Whoever doubts so soon may start it anew once more.
            assert eventually(lambda: post(url).status_code == 200, seconds=120)
            assert stack.worker.exit_status() is None
        finally:
            stack.gateway.stop()
            watching.join()


def watch_until_it_ends(stack: RunningStack) -> None:
    with suppress(PartFailed):
        stack.watch()


def process_of(triton: TritonPart, name: str) -> int:
    """Of Triton itself, or of one of its models."""
    if name == triton.name:
        return triton.process.pid
    command = ["pgrep", "--parent", str(triton.process.pid), "--full", name]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def state_of(url: str, job: str) -> str:
    state: str = httpx.get(f"{url}/v1/jobs/{job}").json()["state"]
    return state


def test_without_a_worker_requests_are_refused_in_the_name_of_the_engine(
    start_stack: StartStack,
) -> None:
    with start_stack("fake") as stack:
        assert post(stack.gateway_url).status_code == 200
        stack.worker.stop()
        ready = f"{stack.gateway_url}/health/ready"
        assert eventually(lambda: "absent" in httpx.get(ready).text)
        assert error_of(post(stack.gateway_url))["code"] == "engine_unavailable"


def test_what_was_started_is_stopped(start_stack: StartStack) -> None:
    with start_stack("fake") as stack:
        parts = stack.parts
        assert [part.exit_status() for part in parts] == [None] * len(parts)
    for part in parts:
        assert part.exit_status() is not None
        if isinstance(part, ChildProcess):
            assert part.exit_status() == 0, part.log.read_text()


def test_a_part_that_dies_is_named(start_stack: StartStack) -> None:
    with start_stack("fake") as stack:
        stack.worker.process.kill()
        with pytest.raises(PartFailed, match=r"worker ended by itself with status -9\nlog: "):
            stack.watch()
