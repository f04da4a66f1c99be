"""The wheels of a release: built from what git tracks, complete, started without the work tree."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.deploy.image import Image, link_distributions

ROOT = Path(__file__).parents[2]
FOLDERS = {"nfig_serve": ".", "nfig_client": "nfig_client", "nfig_proto": "nfig_proto"}
PACKAGES = ("nfig", "nfig_client", "nfig_proto", "service")
STARTS = """
import importlib.metadata, sys
import nfig, nfig_client, nfig_proto.v1.image_generation_pb2_grpc
import service.gateway.__main__, service.worker.__main__, service.admin.cli, service.stack.__main__
from service.jobs.redis_connection import connect
from service.jobs.redis_scripts import Scripts
Scripts(connect("redis://127.0.0.1:1/0"))
for name in ("nfig", "service", "nfig_client", "nfig_proto"):
    assert sys.modules[name].__file__.startswith(sys.prefix), sys.modules[name].__file__
assert {importlib.metadata.version(f"nfig-{name}") for name in ("serve", "client", "proto")}
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheels")
    for path in tracked():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, source / path)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    for folder in FOLDERS.values():
        ended = subprocess.run([*build, str(source / folder)], capture_output=True, text=True)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    return {path.name.split("-")[0]: path for path in out.glob("*.whl")}


def tracked() -> list[Path]:
    """What the wheels are made of, without what only lies about."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    names = {"pyproject.toml", "README.md", "LICENSE"}
    paths = [Path(line) for line in listed.stdout.splitlines()]
    found = [path for path in paths if path.parts[0] in PACKAGES or str(path) in names]
    return [path for path in found if (ROOT / path).is_file()]


def test_each_distribution_is_one_wheel(wheels: dict[str, Path]) -> None:
    assert set(wheels) == set(FOLDERS)


def test_every_file_of_a_package_is_in_its_wheel(wheels: dict[str, Path]) -> None:
    packed = {name for wheel in wheels.values() for name in zipfile.ZipFile(wheel).namelist()}
    wanted = {
        str(path)
        for path in tracked()
        if path.parts[0] in PACKAGES and path.suffix not in {".md", ".toml"}
    }
    assert any(name.endswith(".lua") for name in wanted)
    assert wanted - packed == set()


def test_they_start_in_an_environment_that_has_no_work_tree(
    wheels: dict[str, Path], tmp_path: Path
) -> None:
    environment = tmp_path / "environment"
    venv = [sys.executable, "-m", "venv", "--without-pip", str(environment)]
    subprocess.run(venv, check=True)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-qq"]
    # The client last: the service's distribution carries the same package.
    paths = [str(wheels[name]) for name in ("nfig_proto", "nfig_serve", "nfig_client")]
    # Or pip finds the work tree's own metadata there, and has nothing to install.
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([*pip, "--no-deps", "--no-index", *paths], check=True, cwd=tmp_path, env=bare)
    # Dependencies are those that the tests run with, so nothing is downloaded; after the wheels.
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "zz_dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    ended = subprocess.run(
        [str(python), "-I", "-c", STARTS], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    for command in ("nfig", "nfig-client", "nfig-admin"):
        assert (environment / "bin" / command).is_file()


@pytest.mark.parametrize(
    ("names", "extra", "module"),
    [
        (["nfig_client"], "", "nfig_client"),
        (["nfig_client"], "cli", "nfig_client.cli"),
        (["nfig_proto"], "", "nfig_proto.v1.image_generation_pb2_grpc"),
        (["nfig_serve"], "model", "nfig.cli"),
        (["nfig_serve"], "worker", "service.worker.__main__"),
        (["nfig_serve", "nfig_proto"], "gateway", "service.gateway.__main__"),
    ],
)
def test_a_wheel_asks_for_all_that_it_needs(
    names: list[str],
    extra: str,
    module: str,
    wheels: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its part starts with what its metadata ask for and nothing else."""
    monkeypatch.syspath_prepend(ROOT / ".ci")
    wanted: list[str] = []
    for name in names:
        zipfile.ZipFile(wheels[name]).extractall(tmp_path / "code")
        wanted += asked_for(wheels[name], extra)
    link_distributions(importlib.import_module("sbom").closure(wanted), tmp_path / "deps")
    ended = Image(folder=tmp_path).run("-c", f"import {module}; print({module}.__file__)")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(str(tmp_path / "code"))


def asked_for(wheel: Path, extra: str) -> list[str]:
    """Requirements of its metadata that hold here with this extra, but for those of ours."""
    archive = zipfile.ZipFile(wheel)
    (path,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = archive.read(path).decode()
    wanted = map(Requirement, re.findall(r"^Requires-Dist: (.*)$", metadata, re.MULTILINE))
    found = []
    for each in wanted:
        if each.marker is None or each.marker.evaluate({"extra": extra}):
            each.marker = None
            found.append(str(each))
    return [each for each in found if not each.startswith("nfig")]
