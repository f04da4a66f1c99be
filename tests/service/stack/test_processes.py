"""Child processes of the stack: probes, ends, and complaints that name the log."""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path

import pytest

from service.stack.processes import (
    ChildProcess,
    PartFailed,
    free_port,
    run_to_end,
    start_process,
    wait_until,
)


def start(code: str, tmp_path: Path) -> ChildProcess:
    command = [sys.executable, "-u", "-c", code]
    return start_process("part", command, log=tmp_path / "logs" / "part.log", environment={})


def test_a_child_that_ends_early_is_reported_with_its_last_lines(tmp_path: Path) -> None:
    child = start("print('out of luck'); raise SystemExit(3)", tmp_path)
    with pytest.raises(PartFailed, match=r"part ended with status 3\nlog: .*part\.log\n.*luck"):
        wait_until(child, lambda: False, timeout_seconds=20)
    child.stop()


def test_a_child_that_is_never_ready_is_reported(tmp_path: Path) -> None:
    child = start("import time; time.sleep(60)", tmp_path)
    with pytest.raises(PartFailed, match="not ready within 0.2 s"):
        wait_until(child, lambda: False, timeout_seconds=0.2)
    assert child.exit_status() is None
    child.stop()
    assert child.exit_status() is not None


def test_stopping_ends_deaf_children_and_grandchildren_too(tmp_path: Path) -> None:
    grandchild = (
        "import socket, time; s = socket.create_server(('127.0.0.1', 0));"
        "print(s.getsockname()[1]); time.sleep(60)"
    )
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"subprocess.Popen([sys.executable, '-u', '-c', {grandchild!r}])\n"
        "time.sleep(60)\n"
    )
    child = start(code, tmp_path)
    wait_until(child, lambda: child.log.read_text().endswith("\n"), timeout_seconds=20)
    port = int(child.log.read_text())
    assert is_open(port)
    child.stop(patience_seconds=0.2)
    child.stop(patience_seconds=0.2)
    deadline = time.monotonic() + 10
    while is_open(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_open(port)


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def test_a_command_that_fails_is_reported(tmp_path: Path) -> None:
    log = tmp_path / "export.log"
    command = [sys.executable, "-c", "raise SystemExit('no such checkpoint')"]
    with pytest.raises(PartFailed, match=r"export ended with status 1(.|\n)*no such checkpoint"):
        run_to_end("export", command, log=log, timeout_seconds=20)


def test_a_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(PartFailed, match=r"took longer than 0.2 s"):
        run_to_end("export", command, log=tmp_path / "log", timeout_seconds=0.2)


def test_the_preferred_port_is_used_unless_it_is_taken() -> None:
    wanted = free_port()
    assert free_port(wanted) == wanted
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", wanted))
        taken.listen()
        assert free_port(wanted) not in (0, wanted)
