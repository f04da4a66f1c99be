"""Every block of README.md and docs/ that is not marked runs as it stands, but for its addresses.

Shell blocks run one by one, in order: those of a page go on from each other. The Python blocks of a
page run as one script, because the later ones go on with what the first defined; its line numbers
are those of the page. Trainings are cut to one pass over a few images, evaluations to a few
samples.
"""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from service.stack.running import RunningStack
from tests.documentation.blocks import SHELLS, Block, to_run

SHELL_BLOCKS = [block for block in to_run() if block.language in SHELLS]
NODE_BLOCKS = [block for block in to_run() if block.language == "js"]
PYTHON_PAGES = {
    str(page): list(group)
    for page, group in itertools.groupby(
        (block for block in to_run() if block.language == "python"), key=lambda block: block.page
    )
}
PATIENCE_SECONDS = 280.0

pytestmark = pytest.mark.timeout(300)
TRAINING = re.compile(r"--(minutes|epochs) \d+")
MANY = re.compile(r"--count \d{3,}")


def here(text: str, stack: RunningStack) -> str:
    """With the addresses of this stack, this environment's programs and no time to train."""
    text = text.replace("http://127.0.0.1:8000", stack.gateway_url)
    text = text.replace("127.0.0.1:50051", stack.grpc_address).replace(".venv/bin/", "")
    return MANY.sub("--count 16", TRAINING.sub("--epochs 1 --batch-size 8", text))


def run(command: list[str], desk: Path, environment: dict[str, str]) -> None:
    ended = subprocess.run(
        command,
        cwd=desk,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, f"{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}"


@pytest.mark.parametrize("block", SHELL_BLOCKS, ids=str)
def test_commands_run(
    block: Block, stack: RunningStack, desk: Path, environment: dict[str, str]
) -> None:
    if re.search(r"^curl ", block.text, re.MULTILINE) and shutil.which("curl") is None:
        pytest.skip("curl is not on PATH")
    run(["bash", "-euo", "pipefail", "-c", here(block.text, stack)], desk, environment)


@pytest.mark.parametrize("page", PYTHON_PAGES)
def test_python_runs(
    page: str, stack: RunningStack, desk: Path, environment: dict[str, str]
) -> None:
    script = ""
    for block in PYTHON_PAGES[page]:
        script += "\n" * (block.line - 1 - script.count("\n")) + block.text
    path = desk / page.replace("/", "_").replace(".md", ".py")
    path.write_text(here(script, stack), encoding="utf-8")
    run([sys.executable, str(path)], desk, environment)


@pytest.mark.parametrize("block", NODE_BLOCKS, ids=str)
def test_node_runs(
    block: Block, stack: RunningStack, desk: Path, environment: dict[str, str]
) -> None:
    if shutil.which("node") is None:
        pytest.skip("Node.js is not on PATH")
    (desk / "example.mjs").write_text(here(block.text, stack), encoding="utf-8")
    run(["node", "example.mjs"], desk, environment)
