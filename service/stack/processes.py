"""Child processes of the stack: each with a log of its own, a probe, and a certain end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
LAST_LINES = 12


class PartFailed(Exception):
    """A part did not start or has died; the message names it, its log and the log's last lines."""

    def __init__(self, name: str, problem: str, log: Path | None = None) -> None:
        self.name = name
        self.log = log
        text = f"{name} {problem}"
        if log is not None:
            text += f"\nlog: {log}\n{last_lines(log)}".rstrip()
        super().__init__(text)


@dataclass(frozen=True, kw_only=True)
class ChildProcess:
    """A running part of the stack that is a Python module of ours."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def exit_status(self) -> int | None:
        return self.process.poll()

    def stop(self, *, patience_seconds: float = 15.0) -> None:
        """Asks, waits, then kills it and all that it started; safe to call twice."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience_seconds)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def start_process(
    name: str, command: Sequence[str], *, log: Path, environment: Mapping[str, str]
) -> ChildProcess:
    """Starts `command` with our own environment plus `environment`; output goes to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as log_file:
        process = subprocess.Popen(  # noqa: S603 (our own modules and arguments)
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=subprocess.STDOUT,
            # Its own group: a Ctrl-C in the terminal reaches the stack alone, which then stops
            # the parts in the right order.
            start_new_session=True,
        )
    return ChildProcess(name=name, process=process, log=log)


def run_to_end(name: str, command: Sequence[str], *, log: Path, timeout_seconds: float) -> None:
    """Runs a command that ends by itself. Raises PartFailed unless its status is 0."""
    child = start_process(name, command, log=log, environment={})
    try:
        status = child.process.wait(timeout_seconds)
    except subprocess.TimeoutExpired:
        raise PartFailed(name, f"took longer than {timeout_seconds:g} s", log) from None
    finally:
        child.stop()
    if status != 0:
        raise PartFailed(name, f"ended with status {status}", log)


def wait_until(child: ChildProcess, probe: Callable[[], bool], *, timeout_seconds: float) -> None:
    """Returns once `probe` is true. Raises PartFailed if the child ends or the time is over."""
    deadline = time.monotonic() + timeout_seconds
    while not probe():
        if (status := child.exit_status()) is not None:
            raise PartFailed(child.name, f"ended with status {status}", child.log)
        if time.monotonic() > deadline:
            raise PartFailed(child.name, f"was not ready within {timeout_seconds:g} s", child.log)
        time.sleep(0.1)


def last_lines(log: Path, count: int = LAST_LINES) -> str:
    with contextlib.suppress(OSError):
        lines = log.read_text(errors="replace").splitlines()[-count:]
        return "\n".join(f"  | {line}" for line in lines)
    return ""


def free_port(preferred: int = 0) -> int:
    """The preferred port if nobody listens there, else any free one."""
    with socket.socket() as probe:
        # As servers do: a port in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, preferred))
        except OSError:
            return free_port()
        port: int = probe.getsockname()[1]
        return port
