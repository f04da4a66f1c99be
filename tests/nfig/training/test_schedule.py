"""Laws of rates and batches."""

from __future__ import annotations

import pytest
import torch

from nfig.training import processes
from nfig.training.options import TrainingOptions
from nfig.training.schedule import BatchOrder, Shares, learning_rate

OPTIONS = TrainingOptions(
    epochs=1, learning_rate=2.0, final_learning_rate=0.1, warmup_steps=10, batch_size=4
)


def test_the_rate_warms_up_by_steps_and_cools_down_by_progress() -> None:
    assert learning_rate(OPTIONS, step=0, progress=0) == pytest.approx(0.2)
    assert learning_rate(OPTIONS, step=9, progress=0) == pytest.approx(2.0)
    assert learning_rate(OPTIONS, step=99, progress=0.5) == pytest.approx(1.1)
    assert learning_rate(OPTIONS, step=99, progress=1) == pytest.approx(0.2)
    falling = [learning_rate(OPTIONS, step=99, progress=share / 20) for share in range(21)]
    assert falling == sorted(falling, reverse=True)


def test_every_epoch_shows_each_example_at_most_once_in_another_order() -> None:
    order = BatchOrder(num_examples=10, batch_size=4, seed=0)
    assert order.steps_per_epoch == 2
    epochs = [torch.cat([order.rows(step) for step in (2 * e, 2 * e + 1)]) for e in range(3)]
    for rows in epochs:
        assert len(set(rows.tolist())) == 8
    assert epochs[0].tolist() != epochs[1].tolist() != epochs[2].tolist()


def test_the_batch_of_a_step_needs_no_memory_of_those_before() -> None:
    walked = BatchOrder(num_examples=10, batch_size=4, seed=7)
    rows = [walked.rows(step).tolist() for step in range(6)]
    for step in (5, 0, 3):
        assert BatchOrder(num_examples=10, batch_size=4, seed=7).rows(step).tolist() == rows[step]
    assert BatchOrder(num_examples=10, batch_size=4, seed=8).rows(0).tolist() != rows[0]


def test_few_examples_make_one_small_batch() -> None:
    order = BatchOrder(num_examples=3, batch_size=64, seed=0)
    assert sorted(order.rows(0).tolist()) == [0, 1, 2]


def test_the_shares_of_all_processes_make_up_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    options = TrainingOptions(epochs=1, batch_size=6, accumulate=2)
    whole = BatchOrder(num_examples=40, batch_size=12, seed=0).rows(4)
    monkeypatch.setattr(processes, "count", lambda: 3)
    seen = []
    for rank in range(3):
        monkeypatch.setattr(processes, "rank", lambda rank=rank: rank)
        shares = Shares(options, num_examples=40)
        assert shares.steps_per_epoch == 3
        assert [len(rows) for rows in shares.rows(4)] == [2, 2]
        seen += shares.rows(4).flatten().tolist()
    assert sorted(seen) == sorted(whole.tolist())


def test_shares_that_cannot_be_equal_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "count", lambda: 3)
    with pytest.raises(ValueError, match="batch_size: the 4 images"):
        Shares(OPTIONS, num_examples=40)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="batch_size: the 7 images"):
        Shares(TrainingOptions(epochs=1, accumulate=2), num_examples=7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either epochs or minutes"),
        ({"epochs": 1, "minutes": 1}, "either epochs or minutes"),
        ({"epochs": 0}, "epochs"),
        ({"epochs": 1, "batch_size": 0}, "batch_size"),
        ({"epochs": 1, "accumulate": 0}, "accumulate"),
        ({"epochs": 1, "checkpoint_minutes": -1}, "checkpoint_minutes"),
        ({"epochs": 1, "learning_rate": -1}, "learning_rate"),
        ({"epochs": 1, "ema_decay": 2}, "ema_decay"),
        ({"epochs": 1, "weight_decay": -1}, "weight_decay"),
    ],
)
def test_bad_options_are_refused_by_name(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingOptions(**options)  # type: ignore[arg-type]
