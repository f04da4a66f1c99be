"""Laws of data sets written to files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nfig.data import LabelledImages, load_images
from nfig.data.files import DataSetFiles


def images() -> LabelledImages:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3)).astype(np.uint8)
    labels = np.array([0, 1, 1, 0, 1])
    return LabelledImages(pixels=pixels, labels=labels, class_names=("cat", "dög"))


def files(path: Path, attribution: str = "") -> DataSetFiles:
    return DataSetFiles(path=path, class_names=("cat", "dög"), attribution=attribution)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "data.npz"
    files(path, "Mine.").write(images())
    found = load_images(path)
    assert found.digest == images().digest
    assert found.class_names == ("cat", "dög")
    assert path.with_name("ATTRIBUTION.md").read_text() == "Mine."
    assert {file.name for file in path.parent.iterdir()} == {
        *("data.npz", "classes.json", "ATTRIBUTION.md")
    }


def test_the_same_images_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        files(tmp_path / name).write(images())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_nothing_of_another_set_is_overwritten(tmp_path: Path) -> None:
    files(tmp_path / "data.npz", "Mine.").write(images())
    files(tmp_path / "more.npz", "Mine.").refuse_to_overwrite()
    with pytest.raises(ValueError, match=r"data\.npz exists"):
        files(tmp_path / "data.npz", "Mine.").refuse_to_overwrite()
    with pytest.raises(ValueError, match=r"ATTRIBUTION\.md belongs to another"):
        files(tmp_path / "more.npz", "Yours.").refuse_to_overwrite()
    others = DataSetFiles(path=tmp_path / "more.npz", class_names=("cow",))
    with pytest.raises(ValueError, match=r"classes\.json belongs to another"):
        others.refuse_to_overwrite()
    with pytest.raises(ValueError, match=r"end in \.npz"):
        files(tmp_path / "data.zip").refuse_to_overwrite()
