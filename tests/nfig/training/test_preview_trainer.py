"""The preview decoder learns what the decoder shows, and nothing else of the model changes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from nfig import checkpoint
from nfig.config import ModelConfig
from nfig.data import LabelledImages
from nfig.model import NFIGModel
from nfig.training import runs
from nfig.training.options import TrainingOptions
from nfig.training.reporting import Reporter
from nfig.training.run_folder import RunFolder

OPTIONS = TrainingOptions(
    epochs=60, batch_size=8, learning_rate=3e-3, warmup_steps=5, weight_decay=0.0, autocast=False
)


@pytest.fixture
def model_folder(config: ModelConfig, tmp_path: Path) -> Path:
    """Of random weights, whose decoder shows something all the same."""
    torch.manual_seed(0)
    model = NFIGModel(config)
    with torch.no_grad():
        for parameter in model.tokenizer.decoder.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    checkpoint.save(model, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def trained(
    data: LabelledImages, run: RunFolder, reporter: Reporter, model_folder: Path, request: Any
) -> Path:
    options = dataclasses.replace(OPTIONS, autocast=getattr(request, "param", False))
    common: dict[str, Any] = {"run": run, "options": options, "reporter": reporter, "held_out": 2}
    runs.train_preview_decoder(data, model_from=model_folder, channels=8, **common)
    runs.publish(run, model_folder.with_name("out"))
    return model_folder.with_name("out")


def closeness(folder: Path, data: LabelledImages) -> list[float]:
    """Mean squared error of the previews of each band but the last, at their own resolution."""
    tokenizer = checkpoint.load(folder).tokenizer
    decoder = tokenizer.preview_decoder
    assert decoder is not None
    with torch.no_grad():
        tokens_Bl = tokenizer.encode(data.images(torch.arange(len(data))))
        canvases = [tokenizer.canvas(tokens_Bl, upto=band) for band in range(2)]
        errors = [
            F.mse_loss(decoder(band, canvas), decoder.shrink(band, tokenizer.decode_canvas(canvas)))
            for band, canvas in enumerate(canvases)
        ]
    return [error.item() for error in errors]


@pytest.mark.parametrize("quantization", ["frequency", "area"])
@pytest.mark.parametrize("trained", [False, True], indirect=True, ids=["float32", "bfloat16"])
def test_previews_come_close_to_what_the_decoder_shows(
    data: LabelledImages, run: RunFolder, model_folder: Path, trained: Path
) -> None:
    config, tokenizer = checkpoint.load_tokenizer(model_folder)
    torch.manual_seed(0)
    untaught = NFIGModel(
        dataclasses.replace(
            config, tokenizer=dataclasses.replace(config.tokenizer, preview_channels=8)
        )
    )
    untaught.tokenizer.load_state_dict(tokenizer.state_dict(), strict=False)
    checkpoint.save(untaught, trained.with_name("untaught"))
    before, after = closeness(trained.with_name("untaught"), data), closeness(trained, data)
    assert all(late < 0.25 * early for early, late in zip(before, after, strict=True))
    figures = [record["held_out"] for record in run.records() if "held_out" in record][-1]
    assert set(figures) == {"psnr_band_0", "psnr_band_1"}
    assert "### Preview decoder" in (trained / checkpoint.CARD).read_text()


def test_nothing_else_of_the_model_changes(model_folder: Path, trained: Path) -> None:
    before, after = checkpoint.load(model_folder), checkpoint.load(trained)
    weights = after.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in before.state_dict().items())
    added = set(weights) - set(before.state_dict())
    assert all(name.startswith("tokenizer.preview_decoder.") for name in added)
    assert after.config.tokenizer == dataclasses.replace(
        before.config.tokenizer, preview_channels=8
    )


def test_a_model_that_has_one_can_be_trained_in_every_other_way(
    config: ModelConfig,
    data: LabelledImages,
    reporter: Reporter,
    trained: Path,
    tmp_path: Path,
) -> None:
    def kind(name: str) -> dict[str, Any]:
        options = dataclasses.replace(OPTIONS, epochs=1)
        run = RunFolder(name, root=tmp_path / "runs")
        return {"run": run, "options": options, "reporter": reporter, "held_out": 2}

    def published(arguments: dict[str, Any]) -> ModelConfig:
        folder = tmp_path / arguments["run"].path.name
        runs.publish(arguments["run"], folder)
        return checkpoint.load_tokenizer(folder)[0]

    wider, decoder, transformer, tokenizer = map(kind, ("wider", "decoder", "whole", "codes"))
    runs.train_preview_decoder(data, model_from=trained, channels=12, **wider)
    assert published(wider).tokenizer.preview_channels == 12
    runs.train_decoder(data, model_from=trained, **decoder)
    assert published(decoder).tokenizer.preview_channels == 8
    runs.train_transformer(config, data, tokenizer_from=trained, **transformer)
    assert published(transformer).tokenizer.preview_channels == 8
    # Other tokens: nothing that it has learnt holds any more.
    runs.train_tokenizer(config, data, start_from=trained, **tokenizer)
    assert published(tokenizer).tokenizer.preview_channels == 0


@pytest.mark.parametrize("channels", [-4, 0, 6])
def test_widths_that_cannot_be_are_refused(
    channels: int, data: LabelledImages, run: RunFolder, reporter: Reporter, model_folder: Path
) -> None:
    common: dict[str, Any] = {"run": run, "options": OPTIONS, "reporter": reporter, "held_out": 2}
    with pytest.raises(ValueError, match="channels must be"):
        runs.train_preview_decoder(data, model_from=model_folder, channels=channels, **common)
    assert not run.path.exists()
