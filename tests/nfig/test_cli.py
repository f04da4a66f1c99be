"""What the `nfig` command does, and how it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nfig import checkpoint, cli, images
from nfig.config import PRESETS, ModelConfig, TokenizerConfig, TransformerConfig

TINY = ModelConfig(
    name="tiny",
    tokenizer=TokenizerConfig(
        image_size=8,
        grid_sides=(1, 2),
        codebook_size=16,
        latent_channels=3,
        channels=8,
        channel_multipliers=(1, 1),
        patch_side=2,
    ),
    # The model gets as many classes as the data has.
    transformer=TransformerConfig(depth=1, width=16, num_heads=2, num_classes=7),
)


def nfig(*arguments: object, code: int = 0) -> str:
    """Output of the command, stderr included; the exit code must be as said."""
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def data(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3)).astype(np.uint8)
    np.savez(tmp_path / "data.npz", x=pixels, y=np.arange(12) % 2)
    (tmp_path / "classes.json").write_text(json.dumps(["cat", "dog"]))
    (tmp_path / "ATTRIBUTION.md").write_text("Drawn by chance.")
    return tmp_path / "data.npz"


def test_a_model_is_trained_published_and_sampled_from(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NFIG_RUNS", str(tmp_path / "runs"))
    monkeypatch.setitem(PRESETS, "tiny", TINY)
    common = ["--data", data, "--preset", "tiny", "--epochs", 1, "--batch-size", 4]
    tokenizer, model = tmp_path / "tokenizer", tmp_path / "model"
    nfig("train", "tokenizer", *common, "--run", "a", "--out", tokenizer)
    nfig(
        *("train", "transformer", *common),
        *("--tokenizer", tokenizer, "--run", "b", "--out", model, "--name", "mine"),
    )
    config = checkpoint.load(model).config
    assert (config.name, config.class_names) == ("mine", ("cat", "dog"))
    assert config.transformer.num_classes == 2
    card = (model / checkpoint.CARD).read_text()
    assert "Drawn by chance." in card
    assert checkpoint.digest(model) in card
    nfig("publish", "--run", "b", "--out", tmp_path / "again")
    assert checkpoint.digest(tmp_path / "again") == checkpoint.digest(model)
    preview = ["train", "preview-decoder", "--data", data, "--model", model, "--epochs", 1]
    nfig(*preview, "--batch-size", 4, "--channels", 4, "--run", "c", "--out", tmp_path / "light")
    assert checkpoint.load(tmp_path / "light").config.tokenizer.preview_channels == 4
    assert "channels must be" in nfig(
        *preview, "--channels", 0, "--run", "d", "--out", tmp_path / "none", code=2
    )
    sample = ["sample", "--model", model, "--seed", 5]
    nfig(*sample, "--class", "dog", "--count", 3, "--out", tmp_path / "dogs.npz")
    nfig(*sample, "--count", 4, "--out", tmp_path / "all.npz")
    with np.load(tmp_path / "dogs.npz") as dogs, np.load(tmp_path / "all.npz") as both:
        assert dogs["x"].shape == (3, 8, 8, 3)
        assert dogs["y"].tolist() == [1, 1, 1]
        assert both["y"].tolist() == [0, 1, 0, 1]
        assert np.array_equal(both["x"][1::2], dogs["x"][:2])


def test_a_grid_is_written(tiny_checkpoint: Path, tmp_path: Path) -> None:
    nfig("sample", "--model", tiny_checkpoint, "--count", 5, "--out", tmp_path / "grid.png")
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_is_varied(tiny_checkpoint: Path, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    images.save_png(picture, np.full((20, 30, 3), 99, np.uint8))
    common = ("--model", tiny_checkpoint, "--image", picture, "--class", "dog", "--count", 3)
    nfig("vary", *common, "--keep-bands", 2, "--out", tmp_path / "varied.npz")
    nfig("vary", *common, "--keep-bands", 6, "--out", tmp_path / "kept.npz")
    with np.load(tmp_path / "varied.npz") as varied, np.load(tmp_path / "kept.npz") as kept:
        assert varied["y"].tolist() == [3, 3, 3]
        assert len({one.tobytes() for one in varied["x"]}) == 3
        assert len({one.tobytes() for one in kept["x"]}) == 1


def test_a_folder_of_images_becomes_data(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        images.save_png(tmp_path / "mine" / name / "a.png", np.zeros((4, 6, 3), np.uint8))
    out = tmp_path / "data.npz"
    said = nfig("data", "folder", tmp_path / "mine", "--out", out, "--side", 8)
    assert "2 images of 2 classes" in said
    with np.load(out) as packed:
        assert packed["x"].shape == (2, 8, 8, 3)


def test_what_is_wrong_is_said_in_one_line(
    tiny_checkpoint: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NFIG_RUNS", str(tmp_path / "runs"))
    sample = ["sample", "--model", tiny_checkpoint]
    vary = ["vary", "--model", tiny_checkpoint, "--class", "dog", "--out", "a.png"]
    train = ["train", "tokenizer", "--out", tmp_path / "out"]
    transformer = ["train", "transformer", "--out", tmp_path / "out", "--run", "a"]
    transformer += ["--tokenizer", tmp_path]
    wrong = [
        (["sample", "--model", tmp_path, "--out", "a.png"], "no checkpoint in"),
        ([*sample, "--out", "a.gif"], ".png or .npz"),
        ([*vary, "--image", data, "--keep-bands", 1], "not an image"),
        ([*vary, "--image", tmp_path / "x.png", "--keep-bands", 1], "No such file"),
        ([*sample, "--out", "a.png", "--class", "cow"], "class must be"),
        ([*sample, "--out", "a.png", "--count", 0], "count"),
        ([*sample, "--out", "a.png", "--top-p", 7], "top_p"),
        ([*sample, "--out", "a.png", "--bands", 99], "bands"),
        ([*sample, "--out", "a.png", "--seed", -1], "seed"),
        ([*train, "--data", tmp_path / "x.npz", "--run", "a", "--epochs", 1], "no file"),
        ([*train, "--data", data, "--run", "a", "--epochs", 1], "8 pixels wide"),
        ([*train, "--data", data, "--run", "a"], "epochs or minutes"),
        ([*train, "--data", data, "--run", "../a", "--epochs", 1], "run must be"),
        ([*train, "--data", data, "--run", "a", "--epochs", 1, "--preset", "x"], "preset"),
        ([*transformer, "--data", data, "--recipe", "x"], "recipe must be one of"),
        ([*transformer, "--data", data, "--recipe", "var-d16", "--accumulate", 5], "accumulate"),
        (["data", "avatars-16", "--out", tmp_path / "out", "--per-class", 0], "per_class"),
        (["data", "folder", tmp_path / "x", "--out", tmp_path / "x.npz"], "no folder"),
        (["publish", "--run", "nothing", "--out", tmp_path / "out"], "no run"),
        (["export", "--model", tmp_path, "--repository", tmp_path], "no checkpoint"),
        (["export", "--model", tiny_checkpoint, "--repository", tmp_path], "model repository"),
    ]
    for arguments, message in wrong:
        output = nfig(*arguments, code=2)
        assert output.startswith("error: "), output
        assert message in output
        assert output.count("\n") == 1, output
    assert not (tmp_path / "out").exists()


def test_help_needs_no_torch() -> None:
    code = "import sys, nfig.cli; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
