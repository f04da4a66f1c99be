"""Installs the npm packages that draw, once, into a folder outside the work tree.

The folder is named for its contents: another version of the packages or of the renderer is another
folder.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from nfig.training.run_folder import runs_root

OLDEST_NODE = 18
SOURCE = Path(__file__).with_name("renderer")
FILES = ("package.json", "package-lock.json", "render.mjs")
INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
COMPLAINT = re.compile(r"^npm (?:error|ERR!) (\S.*)$", flags=re.MULTILINE)
RELATIVE_IMPORT = re.compile(r"(?<=from ')\.{1,2}/[^']*(?=')")


def install(root: Path | None = None) -> Path:
    """Folder of the renderer with its packages, below `root` (default: where runs are kept).

    Raises ValueError if Node.js or npm is missing or too old, or if npm fails.
    """
    npm = _npm()
    folder = (root or runs_root()) / f".avatars-{_digest()}"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".partial-") as name:
        partial = Path(name, "renderer")
        partial.mkdir()
        for file in FILES:
            shutil.copy(SOURCE / file, partial)
        _run_npm(npm, partial)
        complete_imports(partial / "node_modules" / "animal-avatar-generator" / "dist")
        if not folder.exists():
            os.replace(partial, folder)
    return folder


def complete_imports(folder: Path) -> None:
    """Names the files that relative imports mean; Node, unlike bundlers, does not guess them."""
    for file in folder.rglob("*.js"):
        _complete_imports_of(file)


def node() -> str:
    """Path of Node.js. Raises ValueError if it is missing or too old."""
    path = shutil.which("node")
    if path is None:
        raise ValueError(f"data: Node.js {OLDEST_NODE} or newer is needed, no node is on PATH")
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    version = answer.stdout.strip()
    match = re.match(r"v(\d+)\.", version)
    if match is None or int(match[1]) < OLDEST_NODE:
        found = version or "one that does not start"
        raise ValueError(f"data: Node.js {OLDEST_NODE} or newer is needed, {path} is {found}")
    return path


def _npm() -> str:
    node()
    npm = shutil.which("npm")
    if npm is None:
        raise ValueError("data: npm, which comes with Node.js, is not on PATH")
    return npm


def _digest() -> str:
    digest = hashlib.sha256()
    for file in FILES:
        digest.update((SOURCE / file).read_bytes())
    return digest.hexdigest()[:16]


def _run_npm(npm: str, folder: Path) -> None:
    ended = subprocess.run(  # noqa: S603
        [npm, *INSTALL], cwd=folder, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        reasons = COMPLAINT.findall(ended.stderr)[:4]
        raise ValueError(f"data: npm cannot install the packages: {', '.join(reasons)}")


def _complete_imports_of(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    complete = RELATIVE_IMPORT.sub(lambda match: _meant(match[0], file=file), text)
    file.write_text(complete, encoding="utf-8")


def _meant(target: str, *, file: Path) -> str:
    for name in (target, f"{target}.js", f"{target}/index.js"):
        if (file.parent / name).is_file():
            return name
    raise ValueError(f"data: {file} imports {target}, which does not exist")
