"""The two folders of an image, /deps and /code, laid out without a container."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
PACKAGES = ("nfig", "nfig_client", "nfig_proto", "service")


@dataclass(frozen=True, kw_only=True)
class Image:
    """Has, in `deps`, some distributions and nothing else of this environment; in `code`, ours."""

    folder: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Python with the image's own path: without `site` it does not look where it lies."""
        path = f"{self.folder / 'code'}:{self.folder / 'deps'}"
        environment = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/nowhere"}
        return subprocess.run(
            [sys.executable, "-S", *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


def lay_out(target: str, sbom: ModuleType, folder: Path) -> Image:
    """By links, since torch is large."""
    link_distributions(sbom.closure(sbom.requirements(target)), folder / "deps")
    (folder / "code").mkdir()
    for package in PACKAGES:
        (folder / "code" / package).symlink_to(ROOT / package)
    return Image(folder=folder)


def link_distributions(names: set[str], deps: Path) -> None:
    """What `pip install --target` would put there: these and nothing else."""
    for name in names:
        _link_files_of(name, deps)


def _link_files_of(name: str, deps: Path) -> None:
    try:
        files = metadata.distribution(name).files or []
    except metadata.PackageNotFoundError:
        # Of torch's CUDA build.
        return
    for file in files:
        # Beside the packages there are only commands, which the images do not use.
        if ".." not in file.parts and file.suffix != ".pyc":
            link = deps / file
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(Path(str(file.locate())))
