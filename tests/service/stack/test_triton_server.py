"""Starting and stopping Triton: what is said when it cannot, and what is left behind: nothing."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from service.stack import triton_server
from service.stack.triton_server import start_triton, triton_available

CONFIG = """
name: "broken"
backend: "python"
max_batch_size: 1
input [ { name: "x" data_type: TYPE_INT32 dims: [ 1 ] } ]
output [ { name: "y" data_type: TYPE_INT32 dims: [ 1 ] } ]
instance_group [ { count: 1 kind: KIND_CPU } ]
"""


def a_repository(folder: Path, model: str) -> Path:
    version = folder / "broken" / "1"
    version.mkdir(parents=True)
    (folder / "broken" / "config.pbtxt").write_text(CONFIG)
    (version / "model.py").write_text(model)
    return folder


def test_a_missing_wheel_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_server.platform, "system", lambda: "Linux")
    monkeypatch.setattr(triton_server.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(triton_server.platform, "libc_ver", lambda: ("glibc", "2.36"))
    assert triton_available(tmp_path) == f"the Triton wheel is not unpacked at {tmp_path}"
    with pytest.raises(RuntimeError, match="not unpacked"):
        start_triton(tmp_path, tmp_path / "log", wheel=tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("system", lambda: "Darwin", "Darwin"),
        ("machine", lambda: "aarch64", "aarch64"),
        ("libc_ver", lambda: ("glibc", "2.31"), "glibc 2.35"),
        ("libc_ver", lambda: ("", ""), "glibc 2.35"),
    ],
)
def test_another_platform_is_a_reason(
    name: str, value: object, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triton_server.platform, name, value)
    assert reason in (triton_available() or "")


def test_a_model_that_fails_to_load_ends_the_start_and_names_the_log(
    needs_triton: None, tmp_path: Path
) -> None:
    model = "raise ValueError('no weights here')"
    repository = a_repository(tmp_path / "repository", model)
    log = tmp_path / "logs" / "triton.log"
    with pytest.raises(RuntimeError, match="Triton ended with status 1") as caught:
        start_triton(repository, log)
    assert str(log) in str(caught.value)
    assert "no weights here" in str(caught.value)


def test_a_start_that_takes_too_long_is_given_up_and_leaves_nothing(
    needs_triton: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / f"{tmp_path.name}-scratch"
    scratch.mkdir()
    monkeypatch.setattr(triton_server.tempfile, "mkdtemp", lambda prefix: str(scratch))
    repository = a_repository(tmp_path / "repository", "import time\ntime.sleep(600)")
    with pytest.raises(RuntimeError, match="not ready within 2 s"):
        start_triton(repository, tmp_path / "log", timeout_seconds=2)
    assert not scratch.exists()
    assert not list(Path("/dev/shm").glob(f"{scratch.name}*"))


def test_the_stub_finds_the_packages_of_this_interpreter(
    needs_triton: None, tmp_path: Path
) -> None:
    model = (
        "import pathlib, sys, torch, nfig\n"
        "class TritonPythonModel:\n"
        "    def initialize(self, args):\n"
        "        text = f'{torch.__file__}\\n{nfig.__file__}'\n"
        "        pathlib.Path(args['model_repository'], 'found').write_text(text)\n"
    )
    repository = a_repository(tmp_path / "repository", model)
    with start_triton(repository, tmp_path / "log") as server:
        assert server.process.poll() is None
    server.stop()
    torch_file, nfig_file = (repository / "broken" / "found").read_text().split()
    assert Path(torch_file).is_relative_to(sys.prefix)
    assert Path(nfig_file).parents[1] == Path(triton_server.__file__).parents[2]
    shutil.rmtree(repository)
