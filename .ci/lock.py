"""Writes requirements.lock: the exact versions that the ranges of pyproject.toml resolve to now.

Names and versions only, no addresses and no hashes, so that any index or mirror can serve it, and
with torch's variant left open: the version is pinned, the machine's own index decides CPU or CUDA.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = "model,export,data,evaluation,gateway,worker,client,stack,dev,docs"
OURS = {"nfig-proto", "nfig-serve"}
OF_ONE_VARIANT = re.compile(r"nvidia-.*|cuda-.*|triton")
"""What only a CUDA build of torch pulls in; pip adds it by itself where that build is installed."""
HEADER = (
    "# Exact versions, written by `make lock`. Do not edit; the ranges are in pyproject.toml.\n"
)


def resolve() -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "pip", "install", "-qq", "--dry-run"]
        command += ["--ignore-installed", "--report", str(report)]
        command += [str(ROOT / "nfig_proto"), f"{ROOT}[{EXTRAS}]"]
        subprocess.run(command, check=True)  # noqa: S603
        found = json.loads(report.read_text())["install"]
    return {item["metadata"]["name"]: item["metadata"]["version"] for item in found}


def main() -> None:
    lines = [
        # The local part (+cpu, +cu129) names torch's variant, which is not ours to pin.
        f"{name.lower()}=={version.split('+')[0]}"
        for name, version in resolve().items()
        if name not in OURS and not OF_ONE_VARIANT.fullmatch(name.lower())
    ]
    (ROOT / "requirements.lock").write_text(HEADER + "\n".join(sorted(lines)) + "\n")


if __name__ == "__main__":
    main()
