"""Starts a real Triton on this machine, from the binary that the nvidia-pytriton wheel carries.

For the demo, `make serve` and the tests; production runs NVIDIA's own image. The wheel is unpacked
beside the interpreter (`.venv/triton`) and never imported: its packages would collide with ours.
Only the python backend is in it, and its stub runs `model_repository/*/1/model.py` with the
packages of this very interpreter.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

HOST = "127.0.0.1"
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (Triton's own choice, cleaned up by prefix)
MIN_GLIBC = (2, 35)
STUB_START_SECONDS = 180
"""A stub imports torch before it reports; on busy cores that takes longer than Triton's 30 s."""
DRAIN_SECONDS = 10
OPTIONS = (
    # Everything is said in config.pbtxt; completing it would start every stub twice.
    "--disable-auto-complete-config",
    f"--backend-config=python,stub-timeout-seconds={STUB_START_SECONDS}",
    f"--exit-timeout-secs={DRAIN_SECONDS}",
    f"--grpc-address={HOST}",
    f"--http-address={HOST}",
    f"--metrics-address={HOST}",
    "--allow-gpu-metrics=false",
)


@dataclass(frozen=True, kw_only=True)
class TritonServer:
    """A running server. `stop()` it, or use it as a context manager."""

    process: subprocess.Popen[bytes]
    grpc_url: str
    """host:port, as tritonclient wants it."""
    http_url: str
    metrics_url: str
    log: Path
    ports: tuple[int, int, int]
    """Of gRPC, HTTP and metrics."""
    _scratch: Path
    _shm_prefix: str

    def stop(self) -> None:
        """Drains, then ends the server and its stubs; safe to call twice."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(DRAIN_SECONDS + 5)
        # The stubs live in the server's process group and may outlast a server that crashed.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)
        for region in SHARED_MEMORY.glob(f"{self._shm_prefix}*"):
            region.unlink(missing_ok=True)

    def __enter__(self) -> TritonServer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


def default_wheel() -> Path:
    """Where `make setup` unpacks the wheel."""
    return Path(sys.prefix) / "triton"


def triton_available(wheel: Path | None = None) -> str | None:
    """None if Triton can run here, else the reason why not, for people."""
    root = wheel or default_wheel()
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return f"the Triton wheel is for Linux x86_64, not {platform.system()} {platform.machine()}"
    if _glibc() < MIN_GLIBC:
        return f"the Triton wheel needs glibc {MIN_GLIBC[0]}.{MIN_GLIBC[1]} or newer"
    if not _binary(root).is_file():
        return f"the Triton wheel is not unpacked at {root}"
    if not _stub(root).is_file():
        return f"the Triton wheel has no stub for Python {_python_version()}"
    if _libpython() is None:
        return "this Python has no shared libpython, which Triton's stub needs"
    if int(metadata.version("numpy").split(".")[0]) >= 2:
        return "Triton's stub needs numpy 1.x"
    return None


def start_triton(
    repository: Path,
    log: Path,
    *,
    wheel: Path | None = None,
    threads: int | None = None,
    timeout_seconds: float = 180.0,
    ports: tuple[int, int, int] | None = None,
) -> TritonServer:
    """Starts Triton on free ports and returns once every model is ready.

    `ports` are those of an earlier server, in whose place it is started; `threads` is how many
    cores each process of a model may use: half of them by default, as two draw side by side.
    Raises RuntimeError that names the cause and the log.
    """
    root = wheel or default_wheel()
    if reason := triton_available(root):
        raise RuntimeError(f"Triton cannot run here: {reason}")
    scratch = Path(tempfile.mkdtemp(prefix="nfig-triton-"))
    shm_prefix = f"{scratch.name}_"  # unique, as the folder is
    ports = ports or _free_ports()
    grpc_port, http_port, metrics_port = ports
    command = [
        str(_binary(root)),
        f"--model-repository={repository.resolve()}",
        f"--backend-directory={_backend_directory(root, scratch)}",
        f"--backend-config=python,shm-region-prefix-name={shm_prefix}",
        f"--grpc-port={grpc_port}",
        f"--http-port={http_port}",
        f"--metrics-port={metrics_port}",
        *OPTIONS,
    ]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as log_file:
        process = subprocess.Popen(  # noqa: S603 (our own binary and arguments)
            command,
            env=_environment(root, threads),
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=subprocess.STDOUT,
            # Its own group: a Ctrl-C in the terminal must not reach it before the worker drained.
            start_new_session=True,
        )
    server = TritonServer(
        process=process,
        grpc_url=f"{HOST}:{grpc_port}",
        http_url=f"http://{HOST}:{http_port}",
        metrics_url=f"http://{HOST}:{metrics_port}/metrics",
        log=log,
        ports=ports,
        _scratch=scratch,
        _shm_prefix=shm_prefix,
    )
    try:
        _wait_until_ready(server, timeout_seconds)
    except BaseException:
        server.stop()
        raise
    return server


def _wait_until_ready(server: TritonServer, timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise RuntimeError(
                f"Triton ended with status {server.process.returncode} before it was ready: "
                f"{_last_error(server.log)} (log: {server.log})"
            )
        with contextlib.suppress(urllib.error.URLError, OSError):
            url = f"{server.http_url}/v2/health/ready"
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 (http, loopback)
                if answer.status == 200:
                    return
        time.sleep(0.1)
    raise RuntimeError(f"Triton was not ready within {timeout_seconds:g} s (log: {server.log})")


def _last_error(log: Path) -> str:
    """Triton starts the lines of its errors with E and the date."""
    lines = log.read_text(errors="replace").splitlines()
    errors = [line for line in lines if line[:1] == "E" and line[1:5].isdigit()]
    return (errors or lines or ["no output"])[-1]


def _environment(root: Path, threads: int | None) -> dict[str, str]:
    libpython = _libpython()
    assert libpython is not None
    libraries = [str(root / "nvidia_pytriton.libs"), str(libpython.parent)]
    packages = [str(Path(__file__).parents[2]), sysconfig.get_path("purelib")]
    # Two instances of the transformer draw side by side.
    threads = threads or max(1, len(os.sched_getaffinity(0)) // 2)
    return {
        **os.environ,
        "LD_LIBRARY_PATH": os.pathsep.join(libraries),
        # The stub embeds Python and looks for its own prefix through PATH.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONPATH": os.pathsep.join(packages),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": str(threads),
    }


def _backend_directory(root: Path, scratch: Path) -> Path:
    """A folder of its own, since the stub must lie beside the backend and fit this interpreter."""
    python = scratch / "backends" / "python"
    python.mkdir(parents=True)
    for file in (root / "pytriton/tritonserver/backends/python").iterdir():
        if file.is_file():
            (python / file.name).symlink_to(file.resolve())
    shutil.copy2(_stub(root), python / _stub(root).name)
    return python.parent


def _binary(root: Path) -> Path:
    return root / "pytriton/tritonserver/bin/tritonserver"


def _stub(root: Path) -> Path:
    stubs = root / "pytriton/tritonserver/python_backend_stubs"
    return stubs / _python_version() / "triton_python_backend_stub"


def _python_version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _libpython() -> Path | None:
    folder = Path(sysconfig.get_config_var("LIBDIR") or "/nowhere")
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    name = f"libpython{_python_version()}.so.1.0"
    places = (folder, folder / multiarch, Path(sys.base_prefix) / "lib")
    return next((place / name for place in places if (place / name).is_file()), None)


def _glibc() -> tuple[int, ...]:
    name, version = platform.libc_ver()
    return tuple(int(part) for part in version.split(".")) if name == "glibc" else (0,)


def _free_ports() -> tuple[int, int, int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for each in sockets:
            each.bind((HOST, 0))
        first, second, third = (each.getsockname()[1] for each in sockets)
        return first, second, third
