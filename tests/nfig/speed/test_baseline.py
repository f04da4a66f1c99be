"""Laws of the baselines: their size, what a report keeps, and who may disturb a measurement."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nfig.config import PRESETS, ModelConfig, TokenizerConfig, TransformerConfig
from nfig.speed import (
    LABELS,
    BaselineReport,
    DisturbedError,
    baseline_config,
    measure_band_seconds,
    measure_baselines,
)

TINY = ModelConfig(
    name="tiny",
    tokenizer=TokenizerConfig(
        image_size=16,
        grid_sides=(1, 2, 4),
        codebook_size=48,
        latent_channels=4,
        channels=8,
        channel_multipliers=(1, 1),
        preview_channels=8,
        palette_size=4,
    ),
    transformer=TransformerConfig(depth=4, width=32, num_heads=4, num_classes=3),
)


def test_the_baseline_of_the_papers_model_is_the_papers_baseline() -> None:
    assert baseline_config(PRESETS["nfig-d16"]) == PRESETS["var-d20"]


@pytest.mark.parametrize("name", ["avatars-64", "nfig-d20", "nfig-d24"])
def test_a_baseline_is_a_quarter_deeper_and_wider(name: str) -> None:
    served, sized = PRESETS[name], baseline_config(PRESETS[name])
    ratio = sized.transformer.depth / served.transformer.depth
    assert ratio == pytest.approx(1.25, abs=0.1)
    assert sized.transformer.width / served.transformer.width == ratio
    assert sized.transformer.head_width == served.transformer.head_width
    assert sized.tokenizer.quantization == "area"
    assert sized.tokenizer.grid_sides == served.tokenizer.grid_sides


def test_a_report_survives_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The machine that tests run on is never quiet.
    monkeypatch.setattr("nfig.speed.clock.TOLERANCE", 1e9)
    report = measure_baselines(TINY, digest="d", batch_sizes=(1, 2))
    path = tmp_path / "report.json"
    report.save(path)
    assert BaselineReport.load(path) == report
    values = json.loads(path.read_text())
    assert set(values) == {"digest", "host", "device", "dtype", "threads", "date", "baselines"}
    assert set(values["baselines"]) == set(LABELS)
    for baseline in values["baselines"].values():
        assert [len(bands) for bands in baseline["seconds"].values()] == [3, 3]
        assert all(seconds > 0 for bands in baseline["seconds"].values() for seconds in bands)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"baselines": {"a": 1}}'])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"report\.json"):
        BaselineReport.load(path)


class Steady:
    """Every band takes a second, and ten beside others."""

    config = TINY
    device = torch.device("cpu")

    def __init__(self) -> None:
        self.runs = 0
        self.busy = False

    def bands(self, batch_size: int) -> Iterator[tuple[float, Tensor]]:
        self.runs += 1
        self.busy = self.runs % 2 == 0
        for _ in range(3):
            yield (10.0 if self.busy else 1.0), torch.empty(0)

    def decode(self, canvas_BCHW: Tensor) -> Tensor:
        return canvas_BCHW


def test_disturbed_repetitions_are_thrown_away() -> None:
    contender, waits = Steady(), []
    seconds = measure_band_seconds(
        contender, (1, 4), quiet=lambda: waits.append(1), disturbed=lambda: contender.busy
    )
    assert seconds == {1: (1.0, 1.0, 1.0), 4: (1.0, 1.0, 1.0)}
    assert len(waits) == contender.runs


def test_no_figure_where_every_repetition_is_disturbed() -> None:
    with pytest.raises(DisturbedError):
        measure_band_seconds(Steady(), (1,), disturbed=lambda: True)


def test_a_baseline_keeps_the_tokens_of_any_tokenizer() -> None:
    fourier = replace(TINY.tokenizer, basis="fft", band_edges="literal")
    assert baseline_config(replace(TINY, tokenizer=fourier)) == baseline_config(TINY)
