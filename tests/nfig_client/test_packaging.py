"""Laws of the client as a distribution of its own."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import nfig_client

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "nfig_client"
OF_THE_COMMAND = {"cli.py", "screen.py", "half_blocks.py"}


def imported(path: Path) -> set[str]:
    """Top-level names of what a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return found


def test_the_library_needs_httpx_alone() -> None:
    modules = [path for path in FOLDER.glob("*.py") if path.name not in OF_THE_COMMAND]
    assert len(modules) > 10
    for path in modules:
        others = imported(path) - set(sys.stdlib_module_names) - {"nfig_client"}
        assert others <= {"httpx"}, path


def test_both_distributions_want_the_same() -> None:
    own = tomllib.loads((FOLDER / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert own["dependencies"] == whole["optional-dependencies"]["client"]
    assert set(own["optional-dependencies"]["cli"]) <= set(whole["dependencies"])
    assert own["version"] == whole["version"]
    assert own["scripts"].items() <= whole["scripts"].items()


def test_it_is_installed_alone_with_its_types_and_its_command(tmp_path: Path) -> None:
    source, target = tmp_path / "nfig_client", tmp_path / "target"
    source.mkdir()
    for path in [*FOLDER.glob("*.py"), FOLDER / "py.typed", FOLDER / "pyproject.toml"]:
        (source / path.name).write_bytes(path.read_bytes())
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(target), str(source)], check=True, cwd=tmp_path)
    assert {path.name for path in target.iterdir()} >= {"nfig_client", "bin"}
    assert not (target / "nfig").exists()
    assert (target / "nfig_client" / "py.typed").exists()
    script = "import sys; sys.path.insert(0, sys.argv[1]); import nfig_client; print(nfig_client)"
    command = [sys.executable, "-I", "-c", script, str(target)]
    said = subprocess.run(command, check=True, cwd=tmp_path, capture_output=True, text=True).stdout
    assert str(target) in said


def test_without_its_extra_the_command_says_what_it_needs(tmp_path: Path) -> None:
    script = "import sys; sys.modules['rich'] = None; from nfig_client.__main__ import main; main()"
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == "nfig-client needs rich: pip install 'nfig-client[cli]'\n"


def test_what_is_public_is_there_and_sorted() -> None:
    assert nfig_client.__all__ == sorted(nfig_client.__all__)
    assert all(hasattr(nfig_client, name) for name in nfig_client.__all__)
