"""Writes a data set as `load_images` reads it: the same images give the same bytes."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nfig.data.labelled_images import LabelledImages


@dataclass(frozen=True, kw_only=True)
class DataSetFiles:
    """An `.npz` with `x` and `y`; beside it `classes.json` and, if any, `ATTRIBUTION.md`."""

    path: Path
    class_names: tuple[str, ...]
    attribution: str = ""

    def refuse_to_overwrite(self) -> None:
        """Raises ValueError if the set is there, or if the files beside it are another set's."""
        if self.path.suffix != ".npz":
            raise ValueError(f"out must end in .npz: {self.path}")
        if self.path.exists():
            raise ValueError(f"out: {self.path} exists; choose another place or remove it")
        for file, text in self._companions().items():
            if file.exists() and file.read_text(encoding="utf-8") != text:
                raise ValueError(f"out: {file} belongs to another data set; choose another folder")

    def write(self, images: LabelledImages) -> None:
        """The `.npz` comes last and whole: where it is, the set is complete."""
        assert images.class_names == self.class_names
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for file, text in self._companions().items():
            file.write_text(text, encoding="utf-8")
        small = len(self.class_names) <= np.iinfo(np.uint8).max + 1
        labels = images.labels.astype(np.uint8 if small else np.int64)
        partial = self.path.with_name(f".{self.path.stem}.partial.npz")
        np.savez_compressed(partial, x=images.pixels, y=labels)
        os.replace(partial, self.path)

    def _companions(self) -> dict[Path, str]:
        names = json.dumps(list(self.class_names), ensure_ascii=False) + "\n"
        found = {self.path.with_name("classes.json"): names}
        if self.attribution:
            found[self.path.with_name("ATTRIBUTION.md")] = self.attribution
        return found
