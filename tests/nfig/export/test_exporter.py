"""An export is whole or it is not served."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from nfig import checkpoint
from nfig.export import export_model
from nfig.export.contract import BATCH_SIZES, CONTRACTS
from nfig.export.exporter import MANIFEST, verified_folder
from nfig.export.served_model import ServedModel, padded_size
from nfig.generation import Generation, generate
from nfig.model import NFIGModel

MODELS = [contract.name for contract in CONTRACTS]


@pytest.fixture
def repository(tiny_repository: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_repository, tmp_path / "repository"))


@pytest.mark.parametrize("model", MODELS)
def test_the_exported_model_is_the_checkpoint(
    repository: Path, tiny_checkpoint: Path, model: str
) -> None:
    folder = verified_folder(repository / model / "1")
    assert ServedModel.load(folder).digest == ServedModel.load(tiny_checkpoint).digest
    weights = checkpoint.load(tiny_checkpoint).state_dict()
    exported = checkpoint.load(folder).state_dict()
    assert all(value.equal(weights[name]) for name, value in exported.items())


def test_the_card_says_what_the_config_says(repository: Path, tiny_checkpoint: Path) -> None:
    card = json.loads((repository / "model.json").read_text())
    assert card == {
        "id": "tiny",
        "digest": checkpoint.digest(tiny_checkpoint),
        "image_size": 32,
        "grid_sides": [1, 2, 3, 4, 6, 8],
        "latent_channels": 4,
        "codebook_size": 64,
        "class_names": ["ant", "bee", "cat", "dog", "eel"],
        "guidance_scale": 1.5,
        "top_k": 0,
        "top_p": 1.0,
        "temperature": 1.0,
        "batch_sizes": list(BATCH_SIZES),
    }


@pytest.mark.parametrize("model", MODELS)
def test_a_half_written_export_is_refused(repository: Path, model: str) -> None:
    folder = repository / model / "1"
    (weights,) = folder.glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ValueError, match="not what was exported"):
        verified_folder(folder)
    weights.unlink()
    with pytest.raises(ValueError, match="not what was exported"):
        verified_folder(folder)
    (folder / MANIFEST).unlink()
    with pytest.raises(ValueError, match="no whole export"):
        verified_folder(folder)


def test_an_export_that_breaks_off_leaves_nothing_to_serve(
    repository: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("nfig.export.exporter.os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        export_model(tiny_checkpoint, repository)
    assert not (repository / "model.json").exists()
    with pytest.raises(ValueError, match="no whole export"):
        verified_folder(repository / MODELS[0] / "1")


def test_exporting_again_mends_and_leaves_no_other_files(
    repository: Path, tiny_checkpoint: Path
) -> None:
    folder = repository / MODELS[0] / "1"
    before = {path.name: path.stat().st_size for path in folder.iterdir()}
    (folder / "older.safetensors").write_bytes(b"")
    (folder / MANIFEST).unlink()
    export_model(tiny_checkpoint, repository)
    assert {path.name: path.stat().st_size for path in folder.iterdir()} == before


def test_what_is_no_checkpoint_is_refused_and_changes_nothing(
    repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty"):
        export_model(tmp_path / "empty", repository)
    for model in MODELS:
        verified_folder(repository / model / "1")


def test_what_is_no_repository_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a model repository"):
        export_model(tiny_checkpoint, tmp_path)
    assert not list(tmp_path.iterdir())


def a_generation(seed: int) -> Generation:
    return Generation(
        class_label=0, seed=seed, guidance_scale=1.0, top_k=0, top_p=1.0, temperature=1.0, bands=3
    )


@pytest.mark.parametrize("num_rows", [1, 3, 5, 16])
def test_batches_are_padded_and_the_padding_stays_inside(
    tiny_checkpoint: Path, num_rows: int
) -> None:
    served = ServedModel.load(tiny_checkpoint)
    (alone, *_), *_ = [step.rows for step in served.draw([a_generation(0)])]
    steps = list(served.draw([a_generation(seed) for seed in range(num_rows)]))
    assert [step.band for step in steps] == [0, 1, 2]
    for step in steps:
        assert step.batch_size == padded_size(num_rows)
        assert step.batch_size in BATCH_SIZES
        assert len(step.rows) == num_rows
    first = steps[0].rows[0]
    assert first is not None
    assert alone is not None
    np.testing.assert_array_equal(first.tokens, alone.tokens)


@pytest.fixture
def area_checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """The tiny checkpoint, quantised as VAR does; phi is new."""
    model = checkpoint.load(tiny_checkpoint)
    tokenizer = dataclasses.replace(model.config.tokenizer, quantization="area")
    other = NFIGModel(dataclasses.replace(model.config, tokenizer=tokenizer))
    other.load_state_dict(model.state_dict(), strict=False)
    checkpoint.save(other, tmp_path / "area")
    return tmp_path / "area"


def test_an_export_of_var_serves(repository: Path, area_checkpoint: Path) -> None:
    export_model(area_checkpoint, repository)
    transformer, decoder = [
        ServedModel.load(verified_folder(repository / model / "1")) for model in MODELS[:2]
    ]
    generations = [dataclasses.replace(a_generation(seed), bands=None) for seed in range(3)]
    steps = list(transformer.draw(generations))
    assert [step.band for step in steps] == list(range(6))
    for step, direct in zip(
        steps, generate(checkpoint.load(area_checkpoint), generations), strict=True
    ):
        for row, tokens_l in zip(step.rows, direct.tokens_Bl.numpy(), strict=True):
            assert row is not None
            np.testing.assert_array_equal(row.tokens, tokens_l)
    canvases = np.stack([row.canvas for row in steps[-1].rows if row is not None])
    assert decoder.decode(canvases, [None, None, 0]).shape == (3, 32, 32, 3)


def test_rows_that_are_not_alive_stop(tiny_checkpoint: Path) -> None:
    served = ServedModel.load(tiny_checkpoint)
    lives = [2, 1]
    asked: list[int] = []

    def is_alive(row: int) -> bool:
        asked.append(row)
        return asked.count(row) <= lives[row]

    steps = list(served.draw([a_generation(0), a_generation(1)], is_alive=is_alive))
    drawn = [[row is not None for row in step.rows] for step in steps]
    assert drawn == [[True, True], [True, False]]
