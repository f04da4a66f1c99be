"""Writes what is generated from proto/: the stubs in nfig_proto, and on demand the baseline.

`make proto` writes the stubs. `python .ci/proto.py --baseline` makes the present shape the one that
later changes must not break; that is for releases, not for getting rid of a complaint.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
BASELINE = PROTO / "baseline.json"


def generate(folder: Path) -> None:
    """The stubs, below `folder`.

    protoc derives the import from the path: under its own one, `nfig.v1`, a stub would look for its
    messages in the model library. The folder is renamed for it; the package on the wire is not.
    """
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-Infig_proto/v1={PROTO}/nfig/v1"]
    command += [f"--{kind}_out={folder}" for kind in ("python", "pyi", "grpc_python")]
    subprocess.run([*command, "nfig_proto/v1/image_generation.proto"], check=True)  # noqa: S603


def write_baseline() -> None:
    buf = Path(sysconfig.get_path("scripts"), "buf")
    command = [str(buf), "build", "--exclude-source-info", "--output", str(BASELINE)]
    subprocess.run(command, cwd=PROTO, check=True)  # noqa: S603


if __name__ == "__main__":
    write_baseline() if sys.argv[1:] == ["--baseline"] else generate(ROOT)
