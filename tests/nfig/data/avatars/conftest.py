"""What stands in for robohash, and robohash itself where it is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nfig.data.avatars import robohash_parts


@pytest.fixture(scope="session")
def robohash_sets() -> Path:
    try:
        return robohash_parts.sets_folder()
    except ValueError as error:
        pytest.skip(str(error))


@pytest.fixture
def parts_folder(tmp_path: Path) -> Path:
    """A set in two colours, each of a left half and, pasted on it, a dot at the top left."""
    for colour, shade in (("blue", (0, 0, 255, 255)), ("red", (255, 0, 0, 255))):
        dots, halves = (tmp_path / "set" / colour / name for name in ("000#02Dot", "001#01Half"))
        for layer in (dots, halves):
            layer.mkdir(parents=True)
        half = np.zeros((16, 16, 4), np.uint8)
        half[:, :8] = shade
        Image.fromarray(half).save(halves / "000#half.png")
        for number, grey in enumerate((0, 128)):
            dot = np.zeros((16, 16, 4), np.uint8)
            dot[:4, :4] = (grey, grey, grey, 255)
            Image.fromarray(dot).save(dots / f"00{number}#dot.png")
    return tmp_path / "set"
