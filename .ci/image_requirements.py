"""`python .ci/image_requirements.py TARGET`: what a target of the Dockerfile installs.

The ranges of pyproject.toml, without our own packages; the Dockerfile holds them to the exact
versions of requirements.lock. They lie in a layer below our code, which changes more often.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = {
    "gateway": ["gateway"],
    "worker": ["worker"],
    "triton": ["model"],
    "train": ["model", "data", "evaluation", "export"],
}
"""Of each target, on top of what every part needs."""


def requirements(target: str) -> list[str]:
    """Raises KeyError for a target that there is not."""
    project = _project(ROOT)
    wanted = list(project["dependencies"])
    for extra in EXTRAS[target]:
        wanted += project["optional-dependencies"][extra]
    stubs = _project(ROOT / "nfig_proto")
    if stubs["name"] in wanted:
        wanted += stubs["dependencies"]
    return sorted({each for each in wanted if not re.match(r"nfig[-_]", each)})


def _project(folder: Path) -> dict:  # type: ignore[type-arg]
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1])))
