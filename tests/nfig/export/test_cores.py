"""A lone row may have more threads than a batch, and draws the same for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from nfig.export.cores import Cores
from nfig.export.served_model import ServedModel
from nfig.generation import Generation

LONE = Generation(class_label=1, seed=5, guidance_scale=1.5, top_k=0, top_p=1.0, temperature=1.0)


@pytest.fixture(autouse=True)
def same_threads_after() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_only_a_lone_row_has_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setenv("NFIG_LONE_THREADS", "3")
    cores = Cores.of_process()
    for batch_size, threads in ((1, 3), (2, 1), (1, 3), (16, 1)):
        cores.use_for(batch_size)
        assert torch.get_num_threads() == threads


def test_without_a_word_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NFIG_LONE_THREADS", raising=False)
    cores = Cores.of_process()
    torch.set_num_threads(2)  # somebody else's business
    cores.use_for(1)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("text", ["0", "-1", "two", ""])
def test_a_bad_number_is_refused_by_name(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NFIG_LONE_THREADS", text)
    with pytest.raises(ValueError, match="NFIG_LONE_THREADS"):
        Cores.of_process()


def test_the_number_of_threads_changes_no_token_and_no_canvas(tiny_checkpoint: Path) -> None:
    served = ServedModel.load(tiny_checkpoint)
    drawn = []
    for share in (1, 2, 3):
        served.cores = Cores(share=1, lone=share)
        rows = [step.rows[0] for step in served.draw([LONE])]
        drawn.append([(row.tokens.tobytes(), row.canvas.tobytes()) for row in rows if row])
    assert len(drawn[0]) == served.model.num_bands
    assert drawn[0] == drawn[1] == drawn[2]
