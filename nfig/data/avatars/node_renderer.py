"""Speaks to the renderer that draws with npm's packages, a Node.js process of its own."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from nfig.data.avatars import node_packages
from nfig.data.avatars.distinct import Pixels


class NodeRenderer:
    """A context manager; the process lives as long as it."""

    def __init__(self, folder: Path, *, side: int) -> None:
        node = node_packages.node()
        self._side = side
        # A file, not a pipe: nobody reads it while the process writes.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._process = subprocess.Popen(  # noqa: S603
            [node, str(folder / "render.mjs"), str(side)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def draw(self, style: str, *, seed: str, backgrounds: tuple[str, ...]) -> Pixels:
        """Pixels (side, side, 3). Raises ValueError, with the renderer's words, if it ends."""
        request = {"style": style, "seed": seed, "backgrounds": backgrounds}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        shape = (self._side, self._side, 3)
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            answer = self._process.stdout.read(int(np.prod(shape)))
        except BrokenPipeError:
            answer = b""
        if len(answer) < np.prod(shape):
            raise ValueError(f"data: the renderer of {style} failed: {self._last_words()}")
        return np.frombuffer(answer, np.uint8).reshape(shape)

    def _last_words(self) -> str:
        self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").splitlines()
        return next((line for line in lines if "Error" in line), "without a word")
