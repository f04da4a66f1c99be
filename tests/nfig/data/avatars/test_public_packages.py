"""Laws of the set as the public packages draw it; skipped where they cannot be had."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nfig.data.avatars import build, node_packages
from nfig.data.avatars.builder import FILE
from nfig.data.avatars.node_renderer import NodeRenderer


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs in which the renderer is installed."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("npm_config_fetch_retries", "0")
        patch.setenv("npm_config_fetch_timeout", "20000")
        try:
            node_packages.install(folder)
        except ValueError as error:
            pytest.skip(str(error))
    return folder


@pytest.mark.usefixtures("robohash_sets")
def test_the_set_is_drawn_alike_twice(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NFIG_RUNS", str(runs))
    first, again = (build(tmp_path / name, per_class=4, seed=1) for name in "ab")
    assert (tmp_path / "a" / FILE).read_bytes() == (tmp_path / "b" / FILE).read_bytes()
    assert first.digest == again.digest
    assert first.pixels.reshape(len(first), -1).std(axis=1).min() > 10


def test_a_background_is_what_was_asked_for(runs: Path) -> None:
    with NodeRenderer(next(runs.iterdir()), side=16) as renderer:
        for style in ("animal", "lorelei"):
            pixels = renderer.draw(style, seed="a", backgrounds=("102030",))
            assert pixels.shape == (16, 16, 3)
            assert pixels[0, 0].tolist() == [0x10, 0x20, 0x30]
            again = renderer.draw(style, seed="a", backgrounds=("102030",))
            assert np.array_equal(pixels, again)


def test_a_renderer_that_fails_says_why(runs: Path) -> None:
    with (
        NodeRenderer(next(runs.iterdir()), side=16) as renderer,
        pytest.raises(ValueError, match="renderer of nothing failed: .*@dicebear/nothing"),
    ):
        renderer.draw("nothing", seed="a", backgrounds=())
