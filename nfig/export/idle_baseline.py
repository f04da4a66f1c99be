"""Sees to it that a served model has its baseline: as kept, or measured while nobody draws."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from nfig.export.baseline import Baseline, measuring, read_baseline, write_baseline
from nfig.export.contract import BATCH_SIZES
from nfig.export.quiet import NeverQuiet, Quiet
from nfig.export.served_model import ServedModel, place_of
from nfig.precision import DTYPES
from nfig.speed import DisturbedError, measure_baselines

logger = logging.getLogger(__name__)

MODES = ("idle", "start", "off")
"""When a baseline is measured; what was measured here before is used in any case."""
PAUSE_SECONDS = 60.0
"""Before another try on a machine that was never left alone for long enough."""


class IdleBaseline:
    """Of one served model, whose `baseline` it fills in."""

    def __init__(self, served: ServedModel, folder: Path, quiet: Quiet, *, mode: str) -> None:
        """`folder` is where the baseline is kept. Raises ValueError for another mode."""
        if mode not in MODES:
            raise ValueError(f"NFIG_BASELINE must be one of {', '.join(MODES)}, not {mode!r}")
        self._served = served
        self._folder = folder
        self._quiet = quiet
        self._mode = mode

    def start(self) -> None:
        """Returns at once, but in mode `start`."""
        if self._served.baseline is not None or self._mode == "off":
            return
        if self._mode == "start":
            self._try()
        else:
            threading.Thread(target=self._go_on, name="nfig-baseline", daemon=True).start()

    def _go_on(self) -> None:
        while not self._try() and not self._quiet.closed_within(PAUSE_SECONDS):
            pass

    def _try(self) -> bool:
        """True if no other try is wanted."""
        try:
            with measuring(self._folder):
                baseline = self._kept() or self._measured()
        except DisturbedError as error:
            logger.warning("the baseline is not measured yet: %s", error)
            return False
        except NeverQuiet:
            return True
        except Exception:  # drawing goes on without it, whatever it is
            logger.exception("the baseline cannot be measured")
            return True
        self._served.baseline = baseline
        return True

    def _kept(self) -> Baseline | None:
        """What another instance of the model has measured meanwhile."""
        served = self._served
        try:
            return read_baseline(
                self._folder, here=place_of(served), num_bands=served.model.num_bands
            )
        except ValueError:  # it was told when the model was loaded
            return None

    def _measured(self) -> Baseline:
        """Written for the next start."""
        served, place = self._served, place_of(self._served)
        report = measure_baselines(
            served.config,
            digest=served.digest,
            batch_sizes=BATCH_SIZES,
            device=str(served.model.device),
            dtype=next(name for name, dtype in DTYPES.items() if str(dtype).endswith(place.dtype)),
            quiet=self._quiet.wait,
            disturbed=self._quiet.disturbed,
        )
        baseline = Baseline(
            place=place,
            date=report.date,
            models={name: each.model for name, each in report.baselines.items()},
            seconds={name: each.seconds for name, each in report.baselines.items()},
        )
        try:
            write_baseline(self._folder, baseline)
        except OSError as error:
            logger.warning("the baseline is measured again at the next start: %s", error)
        return baseline
