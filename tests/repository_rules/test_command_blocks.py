"""Every command in README.md and docs/ is run by a test, or says above itself why not."""

from __future__ import annotations

import re
from pathlib import Path

from tests.documentation import blocks

COMMAND = re.compile(
    r"^\$? ?(nfig|nfig-\w+|make|curl|pip|python|docker|kubectl|torchrun|grpcurl|node)\s",
    re.MULTILINE,
)


def test_what_is_not_run_says_why_or_names_the_test_that_runs_it(root: Path) -> None:
    marked = [each for each in blocks.all_blocks() if each.kind]
    assert marked
    for block in marked:
        if block.kind == "run by":
            assert (root / block.said).is_file(), f"{block} names no test: {block.said}"
            assert Path(block.said).name.startswith("test_"), block
        else:
            assert len(block.said.split()) >= 3, f"{block} is no reason: {block.said}"


def test_no_command_hides_in_a_block_without_a_language() -> None:
    hidden = [
        str(each)
        for each in blocks.all_blocks()
        if each.language not in blocks.RUNNABLE and COMMAND.search(each.text)
    ]
    assert not hidden


def test_every_mark_stands_above_a_block() -> None:
    for page in blocks.pages():
        text = page.read_text(encoding="utf-8")
        marks = len(re.findall(r"^<!-- (?:not run|run by):", text, flags=re.MULTILINE))
        assert marks == sum(each.kind is not None for each in blocks.blocks_of(page)), page
        assert text.count("\n```") == 2 * len(blocks.blocks_of(page)), (
            f"{page}: a fence is not read"
        )


def test_most_pages_with_commands_have_some_that_run() -> None:
    assert len(blocks.to_run()) >= 20
