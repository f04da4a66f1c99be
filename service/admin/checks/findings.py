"""What a check found, in a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Finding:
    grade: Literal["pass", "warn", "fail"]
    part: str
    """Of the service: settings, gateway, Redis, engine."""
    text: str

    def line(self) -> str:
        return f"{self.grade}  {self.part:<8}  {self.text}"


@dataclass(frozen=True)
class Part:
    """Words findings about one part of the service."""

    name: str

    def passed(self, text: str) -> Finding:
        return Finding(grade="pass", part=self.name, text=text)

    def warning(self, text: str) -> Finding:
        return Finding(grade="warn", part=self.name, text=text)

    def failure(self, text: str) -> Finding:
        return Finding(grade="fail", part=self.name, text=text)
