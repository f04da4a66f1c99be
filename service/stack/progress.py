"""What a person sees while the stack starts: one line per part, with a check mark and a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape


@dataclass(kw_only=True)
class Step:
    """One line of progress; `detail` may be set while it runs."""

    detail: str = ""


@dataclass(kw_only=True)
class Progress:
    """Prints to a terminal with a spinner, to a pipe with plain lines."""

    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        step = Step()
        started = time.monotonic()
        try:
            with self.console.status(f"{name} ..."):
                yield step
        except BaseException:
            self.console.print(f"[red]✗[/red] {name}")
            raise
        seconds = time.monotonic() - started
        line = f"[green]✓[/green] {name:<24} {seconds:6.1f} s  [dim]{escape(step.detail)}[/dim]"
        self.console.print(line.rstrip())

    def say(self, text: str) -> None:
        self.console.print(escape(text))

    def warn(self, text: str) -> None:
        self.console.print(f"[yellow]![/yellow] {escape(text)}")

    def fail(self, text: str) -> None:
        self.console.print(f"[red]✗[/red] {escape(text)}")
