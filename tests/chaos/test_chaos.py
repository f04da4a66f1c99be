"""A short run of the chaos suite, and a broken build that it must catch; `make chaos` for more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.history import Fault, Stored
from tests.chaos.nemesis import FAKE
from tests.chaos.run import Plan, run
from tests.chaos.stack import StackOptions

KINDS = ("kill-worker", "pause-worker", "kill-gateway", "kill-redis")


@pytest.mark.timeout(240)
async def test_no_promise_is_broken_by_a_part_that_dies_or_sleeps(tmp_path: Path) -> None:
    plan = Plan(seed=5, rounds=1, harms={kind: FAKE[kind] for kind in KINDS}, callers=6)
    report = await run(plan, StackOptions(folder=tmp_path))
    assert not report.violations, report.text()
    assert {fault.kind for fault in report.history.of(Fault)} == set(KINDS)
    states = {each.state for each in report.history.of(Stored)}
    assert {"completed", "cancelled"} <= states, report.text()


@pytest.mark.timeout(240)
async def test_workers_without_a_fence_are_caught(tmp_path: Path) -> None:
    harms = {"pause-worker": FAKE["pause-worker"]}
    plan = Plan(seed=2, rounds=2, harms=harms, callers=12)
    report = await run(plan, StackOptions(folder=tmp_path, fenced=False))
    assert any(text.startswith("nobody_writes_for_a_lost_lease") for text in report.violations), (
        report.text()
    )
