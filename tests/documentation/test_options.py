"""What no test runs, long trainings above all, is at least spelt as the programs know it."""

from __future__ import annotations

import re
import shlex

import pytest
import typer

from nfig import cli
from nfig_client.cli import app as client
from service.admin.cli import app as admin
from tests.documentation.blocks import ROOT, all_blocks

PROGRAMS = {"nfig": cli.app, "nfig-admin": admin, "nfig-client": client}
COMMAND = re.compile(
    # Not the namespace of `kubectl -n nfig`.
    r"(?<![\w/.-])(?<!-n )(?:python -m )?(?:\.venv/bin/)?"
    r"(nfig(?:-admin|-client)?) (?=[a-z-])([^|;&`\n]*)"
)
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("checkpoints/*/*.md")])


def in_blocks() -> list[tuple[str, str, str]]:
    """Where, which program, and the rest of the line."""
    return [
        (str(block), match[1], match[2])
        for block in all_blocks()
        if block.language in ("sh", "bash")
        for match in COMMAND.finditer(block.text.replace("\\\n", " "))
    ]


def in_sentences() -> list[tuple[str, str, str]]:
    """The same of `nfig ...` between backticks."""
    return [
        (str(page.relative_to(ROOT)), match[1], match[2])
        for page in PAGES
        for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", page.read_text(encoding="utf-8"))
        if (match := COMMAND.match(code.replace("\n", " ")))
    ]


def unknown(program: str, rest: str) -> list[str]:
    """Words that the program would refuse as commands or options."""
    words = shlex.split(rest, comments=True)
    command = typer.main.get_command(PROGRAMS[program])
    while commands := getattr(command, "commands", None):
        if not words or words[0].startswith("-"):
            break
        name = words.pop(0)
        if name not in commands:
            return [name]
        command = commands[name]
    known = {each for option in command.params for each in (*option.opts, *option.secondary_opts)}
    asked = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    return [word for word in asked if word not in known | {"--help"}]


@pytest.mark.parametrize("found", [in_blocks(), in_sentences()], ids=["blocks", "sentences"])
def test_every_command_and_option_is_one_that_the_program_has(
    found: list[tuple[str, str, str]],
) -> None:
    assert len(found) > 20
    wrong = [(where, words) for where, *said in found if (words := unknown(*said))]
    assert not wrong


def test_a_word_that_no_program_knows_is_noticed() -> None:
    assert unknown("nfig", "sample --model m --klass cat") == ["--klass"]
    assert unknown("nfig", "trian tokenizer") == ["trian"]
    assert unknown("nfig-admin", "keys new --tenant t # --not this") == []
