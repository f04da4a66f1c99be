"""Laws of proto/ and of what is generated from it; all offline."""

from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUF = Path(sysconfig.get_path("scripts"), "buf")
PROTO = Path("nfig", "v1", "image_generation.proto")


def buf(*arguments: str, folder: Path = ROOT / "proto") -> subprocess.CompletedProcess[str]:
    return subprocess.run([BUF, *arguments], cwd=folder, capture_output=True, text=True)


def breaks(folder: Path) -> str:
    """What of the baseline the proto in the folder would break."""
    return buf("breaking", "--against", "baseline.json", folder=folder).stdout


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """A copy of proto/ to spoil."""
    return Path(shutil.copytree(ROOT / "proto", tmp_path / "proto"))


def test_the_proto_passes_bufs_lint() -> None:
    assert (buf("lint").returncode, buf("lint").stdout) == (0, "")


def test_the_proto_breaks_nothing_of_its_baseline() -> None:
    assert breaks(ROOT / "proto") == ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("optional int64 seed = 5;", ""),
        ("optional int64 seed = 5;", "optional int32 seed = 5;"),
        ("optional int64 seed = 5;", "optional int64 seed = 55;"),
        ("rpc GetJob(GetJobRequest) returns (GetJobResponse);", ""),
    ],
    ids=["field", "type", "number", "call"],
)
def test_what_would_break_a_client_is_seen(changed: Path, old: str, new: str) -> None:
    path = changed / PROTO
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert breaks(changed) != ""


def test_what_is_only_new_breaks_nothing(changed: Path) -> None:
    path = changed / PROTO
    text = path.read_text(encoding="utf-8")
    seed = "optional int64 seed = 5;"
    path.write_text(text.replace(seed, f"{seed}\n  optional bool new = 50;"), encoding="utf-8")
    assert breaks(changed) == ""


def test_the_stubs_are_fresh(tmp_path: Path) -> None:
    runpy.run_path(str(ROOT / ".ci" / "proto.py"))["generate"](tmp_path)
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.py*"))
    kept = sorted((ROOT / "nfig_proto" / "v1").glob("*_pb2*.py*"))
    assert made == [path.relative_to(ROOT) for path in kept]
    for path in made:
        assert (tmp_path / path).read_text() == (ROOT / path).read_text(), "run `make proto`"


def test_the_stubs_install_by_themselves(tmp_path: Path) -> None:
    unbuilt = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
    source = shutil.copytree(ROOT / "nfig_proto", tmp_path / "nfig_proto", ignore=unbuilt)
    target = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", target, source], check=True)
    assert (target / "nfig_proto" / "py.typed").exists()
    assert (target / "nfig_proto" / "v1" / "image_generation_pb2.pyi").exists()
    script = "import nfig_proto.v1.image_generation_pb2_grpc as stubs; print(stubs.__file__)"
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=target,
        env={"PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.startswith(str(target))
