"""docs/speed.md says what its command says, and the command what was measured."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from benchmarks.model import RUNS, command
from benchmarks.page import PAGE, pictures, written
from benchmarks.page_parts import PARTS, Part
from benchmarks.reports import RESULTS, newest_result


@pytest.fixture(scope="module")
def parts() -> dict[str, Part]:
    return {name: make() for name, make in PARTS.items()}


def test_the_page_and_its_plots_are_those_of_the_newest_results(parts: dict[str, Part]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert written(text, parts) == text
    for file, drawing in pictures(parts).items():
        assert file.read_text(encoding="utf-8") == drawing
        ElementTree.fromstring(drawing)


def test_every_place_is_filled_by_a_part(parts: dict[str, Part]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert set(re.findall(r"<!-- begin: (.*) -->", text)) == set(parts)


def test_a_part_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="0 places for model"):
        written("nothing", {"model": Part(text="text")})


def test_what_stood_in_a_place_is_replaced() -> None:
    text = "before\n<!-- begin: model -->\nold\n<!-- end -->\nafter"
    once = written(text, {"model": Part(text=r"new \1")})
    assert "old" not in once and r"new \1" in once
    assert once.startswith("before\n") and once.endswith("\nafter")
    assert written(once, {"model": Part(text=r"new \1")}) == once


@pytest.mark.parametrize("name", RUNS)
def test_a_result_is_what_the_command_of_its_name_writes(name: str) -> None:
    *_, file = command(name, RUNS[name])
    assert re.fullmatch(rf"{RESULTS}/\d{{4}}-\d\d-\d\d-\d{{6}}-{name}\.json", file)
    result = newest_result(name)
    assert not any(each["disturbed"] for each in result["results"])
    options = result["options"]
    asked = dict(zip(RUNS[name][::2], RUNS[name][1::2], strict=True))
    sizes = [int(size) for size in asked.pop("--batch-sizes", "1").split(",")]
    assert options["batch_sizes"] == sizes
    for option, value in asked.items():
        assert options[option.removeprefix("--")] == value
