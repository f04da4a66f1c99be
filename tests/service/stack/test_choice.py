"""Which engine the stack runs."""

from __future__ import annotations

import pytest

from service.stack import choice
from service.stack.choice import choose_engine


@pytest.mark.parametrize("wanted", ["torch", "fake"])
def test_an_engine_that_needs_no_triton_is_taken_at_its_word(
    wanted: choice.EngineName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "triton_available", lambda: "wrong planet")
    assert choose_engine(wanted).engine == wanted


def test_triton_is_the_first_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "triton_available", lambda: None)
    assert choose_engine(None).engine == "triton"
    assert choose_engine(None).note is None


def test_where_triton_cannot_run_torch_draws_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(choice, "triton_available", lambda: "wrong planet")
    assert choose_engine(None).engine == "torch"
    assert "wrong planet" in (choose_engine(None).note or "")


def test_triton_by_name_where_it_cannot_run_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "triton_available", lambda: "wrong planet")
    with pytest.raises(ValueError, match="--engine triton: .*wrong planet"):
        choose_engine("triton")
