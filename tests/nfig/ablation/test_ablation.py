"""`nfig ablate` from end to end, with trainings of two steps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from nfig import cli
from nfig.ablation.variants import VARIANTS, variants_named
from nfig.config import AVATARS_64, PRESETS, ModelConfig, TokenizerConfig, TransformerConfig

TINY = ModelConfig(
    name="tiny",
    tokenizer=TokenizerConfig(
        image_size=16,
        grid_sides=(1, 2, 3, 5, 8),
        codebook_size=16,
        latent_channels=3,
        channels=8,
        channel_multipliers=(1,),
        patch_side=2,
        attention=False,
    ),
    transformer=TransformerConfig(depth=1, width=16, num_heads=2, num_classes=2),
)


def nfig(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """Options that name data and a classifier."""
    folder = tmp_path_factory.mktemp("data")
    pixels = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3)).astype(np.uint8)
    np.savez(folder / "data.npz", x=pixels, y=np.arange(24) % 2)
    classifier = folder / "classifier.safetensors"
    nfig("train", "classifier", "--data", folder / "data.npz", "--out", classifier)
    return ["--data", folder / "data.npz", "--classifier", classifier]


@pytest.fixture
def command(files: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    monkeypatch.setitem(PRESETS, "tiny", TINY)
    budget = ["--tokenizer-steps", 2, "--transformer-steps", 2, "--samples", 6, "--batch-size", 4]
    return ["ablate", *files, "--preset", "tiny", "--out", tmp_path / "out", *budget]


def rows(out: Path) -> dict[str, dict[str, Any]]:
    return {file.stem: json.loads(file.read_text()) for file in out.glob("*.json")}


def test_every_variant_gets_a_row_at_the_same_budget(command: list[object], tmp_path: Path) -> None:
    nfig(*command)
    found = rows(tmp_path / "out")
    assert {row["variant"] for row in found.values()} == set(VARIANTS)
    assert {
        row["training"][part]["steps"] for row in found.values() for part in row["training"]
    } == {2}
    assert len({json.dumps(row["conditions"]) for row in found.values()}) == 1
    assert len({row["checkpoint"] for row in found.values()}) == len(VARIANTS)
    for row in found.values():
        distances = row["frechet"]["classifier"]
        assert distances["floor"] == found["tiny-nfig-seed-0"]["frechet"]["classifier"]["floor"]
        assert all(each["low"] <= each["distance"] <= each["high"] for each in distances.values())
        assert set(row["class_accuracy"]) == {"guided", "unguided"}
    literal = found["tiny-radial-literal-seed-0"]["config"]["tokenizer"]
    assert (literal["basis"], literal["band_edges"]) == ("fft", "literal")
    table = (tmp_path / "out" / "table.md").read_text(encoding="utf-8")
    lines = [line.split(" | ")[0].strip("| ") for line in table.splitlines() if "| 0 |" in line]
    assert lines == list(VARIANTS)


def test_what_has_a_row_is_not_run_again(command: list[object], tmp_path: Path) -> None:
    nfig(*command, "--variants", "nfig")
    (file,) = (tmp_path / "out").glob("*.json")
    written = file.stat().st_mtime_ns
    nfig(*command, "--variants", "nfig,var")
    nfig(*command, "--variants", "nfig", "--seed", 1)
    assert file.stat().st_mtime_ns == written
    assert set(rows(tmp_path / "out")) == {
        "tiny-nfig-seed-0",
        "tiny-var-seed-0",
        "tiny-nfig-seed-1",
    }
    output = nfig(*command, "--variants", "nfig", "--transformer-steps", 3, code=2)
    assert "has another transformer_steps: 2" in output


def test_a_presets_temperature_changes_no_figure(
    command: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nfig(*command, "--variants", "nfig")
    colder = replace(TINY, name="colder", sampling=replace(TINY.sampling, temperature=0.1))
    monkeypatch.setitem(PRESETS, "colder", colder)
    nfig(*command, "--variants", "nfig", "--preset", "colder")
    tiny, cold = (rows(tmp_path / "out")[f"{name}-nfig-seed-0"] for name in ("tiny", "colder"))
    for figure in ("psnr", "frechet", "class_accuracy"):
        assert cold[figure] == tiny[figure]


def test_the_shipped_model_can_be_varied_in_every_way() -> None:
    tokens = {name: each.config(AVATARS_64).tokenizer.num_tokens for name, each in VARIANTS.items()}
    assert tokens["nfig"] == tokens["radial"] == tokens["radial-literal"] == tokens["var"] == 103
    assert (tokens["bands-3"], tokens["bands-6"], tokens["bands-7"]) == (101, 119, 155)
    with pytest.raises(ValueError, match="variants: bands-3 of nfig-d16"):
        variants_named("bands-3")[0].config(PRESETS["nfig-d16"])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["--variants", "nfig,x"], "variants must be of"),
        (["--minutes", 1], "give either tokenizer_steps and transformer_steps, or minutes"),
        (["--tokenizer-steps", 0], "tokenizer_steps"),
        (["--samples", 3], "samples must be 4 or more"),
        (["--classifier", "none"], "classifier: no file"),
        (["--preset", "nfig-d16"], "variants: bands-3"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_trained(
    command: list[object], tmp_path: Path, changed: list[object], message: str
) -> None:
    output = nfig(*command, *changed, code=2)
    assert output.startswith("error: ") and message in output, output
    assert not (tmp_path / "out").exists()
