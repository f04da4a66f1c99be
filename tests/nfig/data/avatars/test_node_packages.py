"""Laws of what is asked of Node.js, of npm, and of the lock."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nfig.data.avatars import node_packages


def tool(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def test_missing_and_old_tools_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "tools"
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(ValueError, match="no node is on PATH"):
        node_packages.install(tmp_path)
    tool(tools, "node", "echo v16.20.2")
    with pytest.raises(ValueError, match=r"Node\.js 18 or newer is needed, .* is v16\.20\.2"):
        node_packages.install(tmp_path)
    tool(tools, "node", "exit 1")
    with pytest.raises(ValueError, match="one that does not start"):
        node_packages.install(tmp_path)
    tool(tools, "node", "echo v18.0.0")
    with pytest.raises(ValueError, match=r"npm, which comes with Node\.js, is not on PATH"):
        node_packages.install(tmp_path)


def test_a_failed_install_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools, root = tmp_path / "tools", tmp_path / "root"
    tool(tools, "node", "echo v20.0.0")
    tool(tools, "npm", "echo 'npm error code E404\nnpm error not found' >&2; exit 1")
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(ValueError, match="npm cannot install the packages: code E404, not found"):
        node_packages.install(root)
    assert not list(root.iterdir())


def test_an_install_is_done_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "tools"
    tool(tools, "node", "echo v20.0.0")
    tool(tools, "npm", 'echo "$@" >> ../../npm.log')
    monkeypatch.setenv("PATH", str(tools))
    first, again = node_packages.install(tmp_path), node_packages.install(tmp_path)
    assert first == again
    assert sorted(file.name for file in first.iterdir()) == sorted(node_packages.FILES)
    assert (tmp_path / "npm.log").read_text().count("ci ") == 1


def test_imports_are_completed(tmp_path: Path) -> None:
    (tmp_path / "shapes").mkdir()
    (tmp_path / "index.js").write_text("import { a } from './shapes';\nimport b from './b.js';\n")
    (tmp_path / "b.js").write_text("import x from 'elsewhere';\n")
    (tmp_path / "shapes" / "index.js").write_text("export * from '../b';\n")
    node_packages.complete_imports(tmp_path)
    assert (tmp_path / "index.js").read_text() == (
        "import { a } from './shapes/index.js';\nimport b from './b.js';\n"
    )
    assert (tmp_path / "b.js").read_text() == "import x from 'elsewhere';\n"
    assert (tmp_path / "shapes" / "index.js").read_text() == "export * from '../b.js';\n"
    (tmp_path / "b.js").write_text("import x from './lost';\n")
    with pytest.raises(ValueError, match=r"imports \./lost"):
        node_packages.complete_imports(tmp_path)


def test_the_lock_names_exact_versions_and_no_addresses() -> None:
    wanted = json.loads((node_packages.SOURCE / "package.json").read_text())["dependencies"]
    text = (node_packages.SOURCE / "package-lock.json").read_text()
    locked = json.loads(text)["packages"]
    assert "://" not in text
    assert "resolved" not in text
    assert locked[""]["dependencies"] == wanted
    for name, version in wanted.items():
        assert locked[f"node_modules/{name}"]["version"] == version
    assert all("integrity" in package for name, package in locked.items() if name)
