"""The images, without a daemon: what is copied exists, and what is installed is enough."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest

from tests.deploy.image import lay_out

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
INSTRUCTIONS = TEXT.replace("\\\n", " ").splitlines()
STAGE = re.MULTILINE | re.DOTALL
ENTRY_POINTS = {
    "gateway": ["service.gateway.__main__"],
    "worker": ["service.worker.__main__", "service.worker.engines", "service.engine.triton_engine"],
    "triton": ["nfig.export.served_model", "nfig.export.served_encoder", "nfig.export.exporter"],
    "train": ["nfig.cli", "nfig.training.runs", "nfig.evaluation", "nfig.data"],
}
IMPORT = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print("torch" in sys.modules)
"""


@pytest.mark.parametrize("target", ENTRY_POINTS)
def test_what_a_target_installs_is_enough_for_its_entry_point(
    target: str, sbom: ModuleType, tmp_path: Path
) -> None:
    image = lay_out(target, sbom, tmp_path)
    assert "No module named 'pytest'" in image.run("-c", "import pytest").stderr
    ended = image.run("-c", IMPORT, *ENTRY_POINTS[target])
    assert ended.returncode == 0, ended.stderr
    assert (ended.stdout == "True\n") == (target in ("triton", "train"))


def test_what_the_models_are_exported_with_is_enough(sbom: ModuleType, tmp_path: Path) -> None:
    """The Dockerfile's own command, in what the stage `models` stands on."""
    image = lay_out("triton", sbom, tmp_path)
    assert re.search(r"^FROM triton-deps AS models$", TEXT, flags=re.MULTILINE)
    (command,) = re.findall(r"^RUN python -m nfig (export .*)$", TEXT, flags=re.MULTILINE)
    (checkpoint,) = re.findall(r"^ARG CHECKPOINT=(\S+)", TEXT, flags=re.MULTILINE)
    models = tmp_path / "models"
    exported = shutil.ignore_patterns("*.safetensors", "*.json", "*.onnx", "__pycache__")
    shutil.copytree(ROOT / "model_repository", models, ignore=exported)
    paths = {"/checkpoint": str(ROOT / checkpoint), "/models": str(models)}
    ended = image.run("-m", "nfig", *(paths.get(word, word) for word in command.split()))
    assert ended.returncode == 0, ended.stderr
    assert (models / "model.json").is_file()


def test_the_dockerfile_builds_every_target_and_no_other() -> None:
    stages = re.findall(r"^FROM \S+ AS (\S+)", TEXT, flags=re.MULTILINE)
    asked = re.findall(r"image_requirements\.py (\S+) >", TEXT)
    assert sorted(asked) == sorted(ENTRY_POINTS)
    assert set(ENTRY_POINTS) <= set(stages)


def test_every_path_that_is_copied_exists_and_is_let_into_the_context() -> None:
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = [line[1:] for line in ignore if line.startswith("!")]
    (checkpoint,) = re.findall(r"^ARG CHECKPOINT=(\S+)", TEXT, flags=re.MULTILINE)
    copied = []
    for line in INSTRUCTIONS:
        if line.startswith("COPY ") and "--from" not in line:
            copied += [path.replace("${CHECKPOINT}", checkpoint) for path in line.split()[1:-1]]
    assert len(copied) > 8
    for path in copied:
        assert (ROOT / path).exists(), path
        assert any(path == each or path.startswith(f"{each}/") for each in allowed), path
    assert not [path for path in allowed if not (ROOT / path).exists()]


def test_every_stage_that_is_copied_from_comes_before() -> None:
    stages: list[str] = []
    for line in INSTRUCTIONS:
        if line.startswith("FROM "):
            stages.append(line.split()[-1])
        for source in re.findall(r"--from=(\S+)", line):
            assert source in stages[:-1], line


def test_base_images_are_pinned_by_version_and_by_no_invented_digest() -> None:
    stages = set(re.findall(r" AS (\S+)", TEXT))
    for image in re.findall(r"^FROM (\S+)", TEXT, flags=re.MULTILINE):
        assert image in stages or re.fullmatch(r"[\w./-]+:\d+\.\d+[\w.-]*", image), image


def test_the_builder_and_triton_have_the_same_minor_version_of_python() -> None:
    """Packages are installed by the one and imported by the other: 24.11 and later have 3.12."""
    versions = set(re.findall(r"^FROM python:(3\.\d+)", TEXT, flags=re.MULTILINE))
    (triton,) = re.findall(r"tritonserver:(\d+\.\d+)-py3", TEXT)
    assert versions == {"3.12"}
    assert float(triton) >= 24.11


@pytest.mark.parametrize("target", ENTRY_POINTS)
def test_every_target_runs_as_a_numbered_user_and_says_how_it_is(target: str) -> None:
    base, own = re.findall(rf"^FROM (\S+) AS {target}\n(.*?)(?=^FROM |\Z)", TEXT, STAGE)[0]
    inherited = re.findall(r"^FROM \S+ AS runtime\n(.*?)^FROM ", TEXT, STAGE)[0]
    users = re.findall(r"^USER (\S+)", (inherited if base == "runtime" else "") + own, STAGE)
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", users[-1])
    assert "HEALTHCHECK" in own


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sysconfig.get_path("scripts"), "hadolint")
    command = [str(hadolint), str(ROOT / "Dockerfile")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
