"""The baseline is measured in quiet times alone, once, and kept for the next start."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nfig.export import idle_baseline
from nfig.export.baseline import FILE
from nfig.export.contract import BASELINES, BATCH_SIZES
from nfig.export.idle_baseline import IdleBaseline
from nfig.export.quiet import NeverQuiet, Quiet
from nfig.export.served_model import ServedModel
from nfig.speed import clock


@pytest.fixture
def folder(tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint of one's own, on a machine whose speed does not matter."""
    monkeypatch.setattr(clock, "TOLERANCE", 1000.0)
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint"))


def wait_until(probe: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_is_measured_is_kept_and_read_at_the_next_start(folder: Path) -> None:
    served = ServedModel.load(folder)
    IdleBaseline(served, folder, Quiet(), mode="start").start()
    assert served.baseline is not None
    assert set(served.baseline.seconds) == set(BASELINES)
    for by_size in served.baseline.seconds.values():
        assert tuple(by_size) == BATCH_SIZES
        assert all(seconds > 0 for bands in by_size.values() for seconds in bands)
    assert set(served.baseline.models.values()) == {"tiny-var-d4"}
    again = ServedModel.load(folder)
    assert again.baseline == served.baseline


def test_nothing_is_measured_while_somebody_draws(folder: Path) -> None:
    served, quiet = ServedModel.load(folder), Quiet()
    with quiet.at_work():
        IdleBaseline(served, folder, quiet, mode="idle").start()
        time.sleep(0.6)
        assert served.baseline is None
    wait_until(lambda: served.baseline)
    quiet.close()


def test_off_measures_nothing(folder: Path) -> None:
    served = ServedModel.load(folder)
    before = threading.active_count()
    IdleBaseline(served, folder, Quiet(), mode="off").start()
    assert (served.baseline, threading.active_count()) == (None, before)
    assert not (folder / FILE).exists()


def test_closing_ends_a_measurement(folder: Path) -> None:
    served, quiet = ServedModel.load(folder), Quiet()
    with quiet.at_work():
        IdleBaseline(served, folder, quiet, mode="idle").start()
        quiet.close()
        wait_until(lambda: "nfig-baseline" not in [thread.name for thread in threading.enumerate()])
    assert served.baseline is None


def test_a_folder_that_cannot_be_written_to_costs_the_next_start_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("read-only file system")

    monkeypatch.setattr(idle_baseline, "write_baseline", refuse)
    served = ServedModel.load(folder)
    IdleBaseline(served, folder, Quiet(), mode="start").start()
    assert served.baseline is not None
    assert "read-only" in caplog.text


def test_an_unknown_mode_is_refused_by_name(folder: Path) -> None:
    with pytest.raises(ValueError, match="NFIG_BASELINE must be one of idle, start, off"):
        IdleBaseline(ServedModel.load(folder), folder, Quiet(), mode="later")


def test_quiet_notices_what_comes_between() -> None:
    quiet = Quiet()
    quiet.wait()
    assert not quiet.disturbed()
    with quiet.at_work():
        assert quiet.disturbed()
    quiet.wait()
    assert not quiet.disturbed()
    quiet.close()
    with pytest.raises(NeverQuiet):
        quiet.disturbed()
