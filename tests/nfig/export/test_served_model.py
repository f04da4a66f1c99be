"""What is served depends neither on how many threads draw it nor on who shares the batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from nfig.export.served_model import ServedModel
from nfig.generation import Generation


@pytest.fixture(autouse=True)
def same_threads_after() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def a_generation(seed: int) -> Generation:
    return Generation(
        class_label=1, seed=seed, guidance_scale=1.5, top_k=0, top_p=1.0, temperature=1.0
    )


def drawn(served: ServedModel, seeds: list[int]) -> list[tuple[bytes, bytes]]:
    """Tokens and canvases of the first seed, band by band."""
    steps = served.draw([a_generation(seed) for seed in seeds])
    rows = [step.rows[0] for step in steps]
    return [(row.tokens.tobytes(), row.canvas.tobytes()) for row in rows if row is not None]


def test_the_number_of_threads_changes_no_token_and_no_canvas(tiny_checkpoint: Path) -> None:
    served = ServedModel.load(tiny_checkpoint)
    by_threads = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        by_threads += [drawn(served, [5]), drawn(served, [5, 6, 7, 8, 9])]
    assert len(by_threads[0]) == served.model.num_bands
    assert all(each == by_threads[0] for each in by_threads)
