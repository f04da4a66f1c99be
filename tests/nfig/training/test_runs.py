"""Whole trainings of tiny models: the loss falls, stopping changes nothing, results are kept."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from nfig import checkpoint
from nfig.config import ModelConfig
from nfig.data import LabelledImages
from nfig.model import NFIGModel
from nfig.training import runs
from nfig.training.loop import TrainingResult
from nfig.training.options import TrainingOptions
from nfig.training.reporting import Reporter
from nfig.training.run_folder import RunFolder

OPTIONS = TrainingOptions(
    epochs=40, batch_size=8, learning_rate=3e-3, warmup_steps=5, weight_decay=0.0, autocast=False
)
HELD_OUT = 2

both_quantizations = pytest.mark.parametrize("quantization", ["frequency", "area"])


@pytest.fixture
def tokenizer_folder(
    config: ModelConfig, data: LabelledImages, reporter: Reporter, tmp_path: Path
) -> Path:
    run = RunFolder("tokenizer", root=tmp_path / "runs")
    options = dataclasses.replace(OPTIONS, epochs=10)
    runs.train_tokenizer(
        config, data, run=run, options=options, reporter=reporter, held_out=HELD_OUT
    )
    runs.publish(run, tmp_path / "tokenizer")
    return tmp_path / "tokenizer"


@pytest.fixture
def model_folder(tokenizer_folder: Path, tmp_path: Path) -> Path:
    """A whole checkpoint, whose transformer has learnt nothing."""
    config, tokenizer = checkpoint.load_tokenizer(tokenizer_folder)
    model = NFIGModel(config)
    model.tokenizer.load_state_dict(tokenizer.state_dict())
    checkpoint.save(model, tmp_path / "model")
    return tmp_path / "model"


def held_out(run: RunFolder) -> dict[str, float]:
    figures: dict[str, float] = [r["held_out"] for r in run.records() if "held_out" in r][-1]
    return figures


def losses(run: RunFolder) -> list[float]:
    return [record["loss"] for record in run.records() if "loss" in record]


@both_quantizations
@pytest.mark.parametrize("autocast", [False, True])
def test_a_tokenizer_learns_to_reconstruct(
    autocast: bool,
    config: ModelConfig,
    data: LabelledImages,
    run: RunFolder,
    reporter: Reporter,
    tmp_path: Path,
) -> None:
    options = dataclasses.replace(OPTIONS, autocast=autocast)
    result = runs.train_tokenizer(
        config, data, run=run, options=options, reporter=reporter, held_out=HELD_OUT
    )
    assert result.finished
    assert losses(run)[-1] < 0.7 * losses(run)[0]
    figures = held_out(run)
    assert figures["psnr"] == figures["psnr_band_2"] > 12
    assert figures["codes_used"] > 0
    assert run.picture(result.step).read_bytes().startswith(b"\x89PNG")
    runs.publish(run, tmp_path / "out")
    loaded_config, tokenizer = checkpoint.load_tokenizer(tmp_path / "out")
    assert loaded_config.class_names == ("red", "blue")
    for name, value in tokenizer.state_dict().items():
        torch.testing.assert_close(value, result.averaged.state_dict()[name], atol=1e-2, rtol=1e-2)


@both_quantizations
@pytest.mark.parametrize("autocast", [False, True])
def test_a_transformer_learns_to_predict_tokens(
    autocast: bool,
    config: ModelConfig,
    data: LabelledImages,
    run: RunFolder,
    reporter: Reporter,
    tokenizer_folder: Path,
    tmp_path: Path,
) -> None:
    result = runs.train_transformer(
        config,
        data,
        tokenizer_from=tokenizer_folder,
        run=run,
        options=dataclasses.replace(OPTIONS, autocast=autocast),
        reporter=reporter,
        held_out=HELD_OUT,
        attribution="By a test.",
    )
    assert result.finished
    assert losses(run)[-1] < 0.7 * losses(run)[0]
    assert set(held_out(run)) == {"loss", "loss_band_0", "loss_band_1", "loss_band_2"}
    digest = runs.publish(run, tmp_path / "out")
    model = checkpoint.load(tmp_path / "out")
    assert checkpoint.digest(tmp_path / "out") == digest
    tokenizer_state = checkpoint.load_tokenizer(tokenizer_folder)[1].state_dict()
    for name, value in model.tokenizer.state_dict().items():
        assert torch.equal(value, tokenizer_state[name])
    card = (tmp_path / "out" / checkpoint.CARD).read_text()
    cut = {"frequency": "basis dct", "area": "area quantization"}[config.tokenizer.quantization]
    for part in (
        digest,
        cut,
        "red, blue",
        "### Tokenizer",
        "### Transformer",
        "By a test.",
        "psnr",
    ):
        assert part in card


@pytest.mark.parametrize("autocast", [False, True])
def test_a_decoder_learns_and_leaves_all_else_alone(
    autocast: bool,
    data: LabelledImages,
    run: RunFolder,
    reporter: Reporter,
    model_folder: Path,
    tmp_path: Path,
) -> None:
    options = dataclasses.replace(OPTIONS, autocast=autocast)
    runs.train_decoder(
        data, model_from=model_folder, run=run, options=options, reporter=reporter, held_out=2
    )
    assert losses(run)[-1] < 0.9 * losses(run)[0]
    assert set(held_out(run)) == {"psnr_band_0", "psnr_band_1", "psnr_band_2", "psnr"}
    runs.publish(run, tmp_path / "out")
    before = checkpoint.load(model_folder).state_dict()
    after = checkpoint.load(tmp_path / "out").state_dict()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith("tokenizer.decoder.") for name in changed)
    assert "### Decoder" in (tmp_path / "out" / checkpoint.CARD).read_text()


def test_a_decoder_gets_a_palette_and_keeps_what_fits(
    data: LabelledImages,
    run: RunFolder,
    reporter: Reporter,
    model_folder: Path,
    tmp_path: Path,
) -> None:
    options = dataclasses.replace(OPTIONS, epochs=1, learning_rate=1e-12, weight_decay=0.0)
    common: dict[str, Any] = {"options": options, "reporter": reporter, "held_out": HELD_OUT}
    runs.train_decoder(data, model_from=model_folder, run=run, palette_size=5, **common)
    runs.publish(run, tmp_path / "out")
    before, after = checkpoint.load(model_folder), checkpoint.load(tmp_path / "out")
    assert after.config.tokenizer.palette_size == 5
    weights = after.state_dict()
    changed = {
        name
        for name, value in before.state_dict().items()
        if weights[name].shape != value.shape or not weights[name].allclose(value)
    }
    assert all(name.startswith("tokenizer.decoder.layers.") for name in changed)
    assert len(changed) == 2, "weight and bias of the last convolution"


def stop_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the next training end as if SIGTERM had come during step `steps`."""
    from nfig.training import loop

    original = loop._Loop._one_step

    def one_step(self: Any) -> dict[str, float]:
        figures = original(self)
        if self.step == steps:
            import signal

            signal.raise_signal(signal.SIGTERM)
        return figures

    monkeypatch.setattr(loop._Loop, "_one_step", one_step)


def same(one: TrainingResult, other: TrainingResult) -> bool:
    others = other.averaged.state_dict()
    return all(torch.equal(v, others[name]) for name, v in one.averaged.state_dict().items())


@both_quantizations
@pytest.mark.parametrize(
    "kind", ["tokenizer", "transformer", "self-correction", "decoder", "preview decoder"]
)
def test_a_training_that_was_stopped_ends_with_the_same_weights(
    kind: str,
    config: ModelConfig,
    data: LabelledImages,
    reporter: Reporter,
    tokenizer_folder: Path,
    model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = dataclasses.replace(OPTIONS, epochs=4)

    def train(name: str) -> TrainingResult:
        run = RunFolder(name, root=tmp_path / "runs")
        common: dict[str, Any] = {
            "run": run,
            "options": options,
            "reporter": reporter,
            "held_out": HELD_OUT,
        }
        if kind == "tokenizer":
            return runs.train_tokenizer(config, data, **common)
        if kind == "decoder":
            return runs.train_decoder(data, model_from=model_folder, **common)
        if kind == "preview decoder":
            common |= {"model_from": model_folder, "channels": 8}
            return runs.train_preview_decoder(data, **common)
        common |= {"self_correction": 0.3} if kind == "self-correction" else {}
        return runs.train_transformer(config, data, tokenizer_from=tokenizer_folder, **common)

    undisturbed = train("undisturbed")
    with monkeypatch.context() as patched:
        stop_after(3, patched)
        stopped = train("stopped")
    assert (stopped.step, stopped.finished) == (3, False)
    torch.rand(100)  # Random numbers drawn by others in between must not matter.
    resumed = train("stopped")
    assert resumed.step == undisturbed.step == 8
    assert same(resumed, undisturbed)
    assert not same(stopped, undisturbed)


def test_a_transformer_is_trained_further(
    config: ModelConfig,
    data: LabelledImages,
    reporter: Reporter,
    tokenizer_folder: Path,
    tmp_path: Path,
) -> None:
    def train(name: str, source: Path, **others: Any) -> RunFolder:
        run = RunFolder(name, root=tmp_path / "runs")
        common: dict[str, Any] = {"options": OPTIONS, "reporter": reporter, "held_out": HELD_OUT}
        runs.train_transformer(config, data, tokenizer_from=source, run=run, **common, **others)
        return run

    runs.publish(train("first", tokenizer_folder), tmp_path / "model")
    further = train("further", tmp_path / "model", further=True, self_correction=0.2)
    anew = train("anew", tmp_path / "model")
    assert losses(further)[0] < 0.8 * losses(anew)[0]
    assert further.facts()["options"]["self_correction"] == 0.2
    deeper = dataclasses.replace(config.transformer, depth=config.transformer.depth + 1)
    config = dataclasses.replace(config, transformer=deeper)
    with pytest.raises(ValueError, match="further: the transformer of"):
        train("deeper", tmp_path / "model", further=True)
    with pytest.raises(ValueError, match="self_correction must be from 0 to 1"):
        train("all", tmp_path / "model", self_correction=1.5)


def test_a_finished_training_is_not_trained_again(
    config: ModelConfig, data: LabelledImages, run: RunFolder, reporter: Reporter
) -> None:
    options = dataclasses.replace(OPTIONS, epochs=1)
    arguments: dict[str, Any] = {"run": run, "options": options, "reporter": reporter}
    first = runs.train_tokenizer(config, data, held_out=HELD_OUT, **arguments)
    again = runs.train_tokenizer(config, data, held_out=HELD_OUT, **arguments)
    assert again.step == first.step
    assert same(first, again)


def test_a_tokenizer_can_be_trained_further(
    config: ModelConfig,
    data: LabelledImages,
    run: RunFolder,
    reporter: Reporter,
    tokenizer_folder: Path,
    tmp_path: Path,
) -> None:
    runs.train_tokenizer(
        config,
        data,
        run=run,
        options=OPTIONS,
        reporter=reporter,
        start_from=tokenizer_folder,
        held_out=HELD_OUT,
    )
    before = json.loads((tokenizer_folder / "training.json").read_text())["trainings"]
    runs.publish(run, tmp_path / "further")
    after = json.loads((tmp_path / "further" / "training.json").read_text())["trainings"]
    assert after[:1] == before
    assert len(after) == 2
    assert after[1]["held_out"]["psnr"] > before[0]["held_out"]["psnr"]


def test_what_does_not_fit_is_refused(
    config: ModelConfig,
    data: LabelledImages,
    run: RunFolder,
    reporter: Reporter,
    tokenizer_folder: Path,
    tmp_path: Path,
) -> None:
    arguments: dict[str, Any] = {"options": OPTIONS, "reporter": reporter, "held_out": HELD_OUT}
    small = LabelledImages(
        pixels=data.pixels[:, :8, :8], labels=data.labels, class_names=data.class_names
    )
    with pytest.raises(ValueError, match="8 pixels wide"):
        runs.train_tokenizer(config, small, run=run, **arguments)
    one_class = LabelledImages(pixels=data.pixels, labels=data.labels * 0, class_names=("only",))
    with pytest.raises(ValueError, match="1 classes"):
        runs.train_tokenizer(config, one_class, run=run, **arguments)
    other = dataclasses.replace(
        config, tokenizer=dataclasses.replace(config.tokenizer, codebook_size=16)
    )
    with pytest.raises(ValueError, match="start_from"):
        runs.train_tokenizer(other, data, run=run, start_from=tokenizer_folder, **arguments)
    assert not run.path.exists()
    with pytest.raises(ValueError, match="no run"):
        runs.publish(run, tmp_path / "out")


def test_a_run_is_not_continued_as_another_training(
    config: ModelConfig, data: LabelledImages, run: RunFolder, reporter: Reporter
) -> None:
    options = dataclasses.replace(OPTIONS, epochs=1)
    runs.train_tokenizer(
        config, data, run=run, options=options, reporter=reporter, held_out=HELD_OUT
    )
    options = dataclasses.replace(options, learning_rate=1e-4)
    with pytest.raises(ValueError, match="exists with other options"):
        runs.train_tokenizer(
            config, data, run=run, options=options, reporter=reporter, held_out=HELD_OUT
        )


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", "a" * 65])
def test_names_that_are_no_plain_folder_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="run must be"):
        RunFolder(name)


def test_runs_are_kept_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NFIG_RUNS", str(tmp_path))
    assert RunFolder("a").path == tmp_path / "a"
    monkeypatch.delenv("NFIG_RUNS")
    assert RunFolder("a").path == Path("~/.cache/nfig/runs/a").expanduser()
