"""The shipped model draws the same tokens in every batch, and the benchmark would notice if not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from benchmarks import invariance
from nfig.export.served_model import ServedModel
from nfig.generation import Generation


def test_no_token_of_the_shipped_model_depends_on_its_batch() -> None:
    report = invariance.measure(
        seeds=9,
        batch_sizes=invariance.BATCH_SIZES,
        checkpoint=invariance.CHECKPOINT,
        device="cpu",
    )
    tokens = sum(side**2 for side in (1, 2, 3, 5, 8))
    found = [(row["batch"], row["tokens compared"], row["differ"]) for row in report.rows]
    assert found == [(size, 9 * tokens, 0) for size in (1, 2, 7, 8, 16)]
    assert report.verdict.endswith("met: True")


def test_a_token_that_depends_on_its_batch_is_counted(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = invariance.as_served

    def like_the_first_row(
        served: ServedModel, generations: Sequence[Generation], is_alive: invariance.IsAlive
    ) -> Iterator[Sequence[invariance.Tokens | None]]:
        return honest(served, [generations[0]] * len(generations), is_alive)

    monkeypatch.setattr(invariance, "as_served", like_the_first_row)
    report = invariance.measure(
        seeds=4, batch_sizes=(1, 2), checkpoint=tiny_checkpoint, device="cpu"
    )
    assert [row["differ"] > 0 for row in report.rows] == [False, True]
    assert report.verdict.endswith("met: False")


@pytest.mark.parametrize("size", invariance.BATCH_SIZES)
def test_every_seed_is_compared_once_in_whole_batches_some_with_a_cancelled_row(size: int) -> None:
    batches = list(invariance.shuffled(100, size, num_bands=5))
    compared = Counter(
        seed
        for batch in batches
        for row, seed in enumerate(batch.seeds)
        if row != batch.cancelled_row
    )
    assert compared == Counter(range(100))
    assert all(len(batch.seeds) == size for batch in batches[:-1])
    cancelled = [batch.cancelled_row for batch in batches if batch.cancelled_row is not None]
    assert bool(cancelled) is (size > 1)
