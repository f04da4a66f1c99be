"""Laws of packing a folder of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nfig.data import load_images
from nfig.data.image_folder import pack_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two red dogs, a half transparent one, and two cats of another size."""
    images = tmp_path / "images"
    for name in ("cat", "dog"):
        (images / name).mkdir(parents=True)
    for number in range(2):
        Image.new("RGB", (20, 10), "red").save(images / "dog" / f"{number}.png")
        Image.new("RGB", (9, 30), "blue").save(images / "cat" / f"{number}.JPG")
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(images / "dog" / "ghost.webp")
    (images / "dog" / "notes.txt").write_text("Good dogs.")
    (images / "ATTRIBUTION.md").write_text("By me.")
    return images


def test_folders_become_classes_and_images_squares(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "data.npz"
    pack_folder(folder, out, side=6)
    data = load_images(out)
    assert data.class_names == ("cat", "dog")
    assert data.pixels.shape == (5, 6, 6, 3)
    assert data.labels.tolist() == [0, 0, 1, 1, 1]
    colours = sorted(tuple(colour) for colour in data.pixels[data.labels == 1][:, 3, 3].tolist())
    assert colours == [(255, 0, 0), (255, 0, 0), (255, 255, 255)]
    assert out.with_name("ATTRIBUTION.md").read_text() == "By me."


def test_the_middle_of_an_image_is_kept(tmp_path: Path) -> None:
    (tmp_path / "images" / "flag").mkdir(parents=True)
    stripes = np.repeat(np.array([[0, 255, 0]], np.uint8), 4, axis=0).repeat(4, axis=1)
    Image.fromarray(stripes).save(tmp_path / "images" / "flag" / "a.png")
    data = pack_folder(tmp_path / "images", tmp_path / "data.npz", side=4)
    assert (data.pixels == 255).all()


def test_the_same_folder_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        pack_folder(folder, tmp_path / name, side=8)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_what_cannot_be_packed_is_refused_by_name(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "data.npz"
    with pytest.raises(ValueError, match="side must be 1 or more"):
        pack_folder(folder, out, side=0)
    with pytest.raises(ValueError, match="no folder"):
        pack_folder(tmp_path / "nothing", out, side=8)
    with pytest.raises(ValueError, match="no folders of classes"):
        pack_folder(folder / "cat", out, side=8)
    (folder / "dog" / "torn.png").write_bytes(b"\x89PNG")
    with pytest.raises(ValueError, match=r"torn\.png cannot be read"):
        pack_folder(folder, out, side=8)
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match="no images in"):
        pack_folder(folder, out, side=8)
    assert not out.exists()
