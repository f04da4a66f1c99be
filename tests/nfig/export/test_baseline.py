"""A baseline counts where it was measured, for what it was measured, and nowhere else."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nfig.export.baseline import FILE, Baseline, Place, read_baseline, write_baseline
from nfig.export.contract import BASELINES, BATCH_SIZES
from nfig.export.served_model import ServedModel
from nfig.generation import Generation

HERE = Place.here(digest="d", device=torch.device("cpu"), dtype=torch.float32)
BANDS = 6


def a_baseline(place: Place = HERE) -> Baseline:
    seconds = {
        name: {size: tuple(size + band + 1.0 for band in range(BANDS)) for size in BATCH_SIZES}
        for name in BASELINES
    }
    return Baseline(place=place, date="d", models=dict.fromkeys(BASELINES, "m"), seconds=seconds)


def test_what_was_written_is_read_where_it_was_measured(tmp_path: Path) -> None:
    assert read_baseline(tmp_path, here=HERE, num_bands=BANDS) is None
    write_baseline(tmp_path, a_baseline())
    known = read_baseline(tmp_path, here=HERE, num_bands=BANDS)
    assert known == a_baseline()
    assert known.seconds_of(2, 4) == dict.fromkeys(BASELINES, 7.0)
    assert known.seconds_of(2, 5) == {}


@pytest.mark.parametrize("field", ["digest", "host", "device", "dtype", "threads"])
def test_one_of_another_place_is_as_good_as_none(field: str, tmp_path: Path) -> None:
    write_baseline(tmp_path, a_baseline(replace(HERE, **{field: "other"})))
    assert read_baseline(tmp_path, here=HERE, num_bands=BANDS) is None


BREAKS: dict[str, Callable[[Any], object]] = {
    "no date": lambda file: file.pop("date"),
    "one baseline": lambda file: file["baselines"].pop("same_code"),
    "a batch size less": lambda file: file["baselines"]["same_code"]["seconds"].pop("4"),
    "a band less": lambda file: file["baselines"]["same_code"]["seconds"]["4"].pop(),
    "no time": lambda file: file["baselines"]["same_code"]["seconds"]["4"].__setitem__(0, 0),
    "a word": lambda file: file["baselines"]["same_code"]["seconds"]["4"].__setitem__(0, "x"),
}


@pytest.mark.parametrize("break_it", BREAKS.values(), ids=BREAKS)
def test_a_file_that_is_not_whole_is_refused_by_name(
    break_it: Callable[[Any], object], tmp_path: Path
) -> None:
    file = json.loads(json.dumps(a_baseline().to_json()))
    break_it(file)
    (tmp_path / FILE).write_text(json.dumps(file))
    with pytest.raises(ValueError, match=FILE):
        read_baseline(tmp_path, here=HERE, num_bands=BANDS)


def generation(guidance_scale: float) -> Generation:
    return Generation(
        class_label=0,
        seed=0,
        guidance_scale=guidance_scale,
        top_k=0,
        top_p=1.0,
        temperature=1.0,
    )


def test_steps_say_what_the_baseline_takes_for_the_padded_batch(tiny_checkpoint: Path) -> None:
    served = ServedModel.load(tiny_checkpoint)
    assert served.baseline is None
    assert not [s for s in served.draw([generation(1.5)]) if s.baseline_seconds]
    served.baseline = a_baseline()
    steps = list(served.draw([generation(1.5)] * 5))
    assert [s.baseline_seconds["same_code"] for s in steps] == [7.0, 8.0, 9.0, 10.0, 11.0, 12.0]
    # Half the rows: nothing that was measured.
    assert not [s for s in served.draw([generation(0.0)] * 3) if s.baseline_seconds]


def test_a_broken_file_is_said_and_keeps_nobody_from_drawing(
    tiny_repository: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tiny_repository / "nfig_transformer" / "1"
    (folder / FILE).write_text("{}")
    try:
        with caplog.at_level(logging.WARNING):
            assert ServedModel.load(folder).baseline is None
    finally:
        (folder / FILE).unlink()
    assert "no baseline" in caplog.text
