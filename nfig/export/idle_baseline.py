"""Sees to it that a served model has its baseline: read back, or measured while nobody draws."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from nfig.export.baseline import Baseline, Place, read_baseline, write_baseline
from nfig.export.quiet import NeverQuiet, Quiet
from nfig.export.served_model import ServedModel

logger = logging.getLogger(__name__)

MODES = ("idle", "start", "off")
"""When a baseline is measured; what was measured here before is used in any case."""

Measure = Callable[[ServedModel, Quiet], Baseline]
"""Repeats what was disturbed. Raises NeverQuiet."""


class IdleBaseline:
    """Of one served model, whose `baseline` it fills in."""

    def __init__(
        self, served: ServedModel, folder: Path, quiet: Quiet, *, mode: str, measure: Measure
    ) -> None:
        """`folder` is where the baseline is kept. Raises ValueError for another mode."""
        if mode not in MODES:
            raise ValueError(f"NFIG_BASELINE must be one of {', '.join(MODES)}, not {mode!r}")
        self._served = served
        self._folder = folder
        self._quiet = quiet
        self._mode = mode
        self._measure = measure

    def start(self) -> None:
        """Returns at once, but in mode `start`."""
        self._served.baseline = self._read()
        if self._served.baseline is not None or self._mode == "off":
            return
        if self._mode == "start":
            self._measure_now()
        else:
            threading.Thread(target=self._measure_now, name="nfig-baseline", daemon=True).start()

    def _read(self) -> Baseline | None:
        num_bands = self._served.model.num_bands
        try:
            return read_baseline(self._folder, here=place_of(self._served), num_bands=num_bands)
        except ValueError as error:
            logger.warning("%s; it is measured anew", error)
            return None

    def _measure_now(self) -> None:
        try:
            baseline = self._measure(self._served, self._quiet)
        except NeverQuiet:
            return
        except Exception:  # drawing goes on without it, whatever it is
            logger.exception("the baseline cannot be measured")
            return
        try:
            write_baseline(self._folder, baseline)
        except OSError as error:
            logger.warning("the baseline is measured again at the next start: %s", error)
        self._served.baseline = baseline


def place_of(served: ServedModel) -> Place:
    """Where the model runs."""
    weight = next(served.model.transformer.parameters())
    return Place.here(digest=served.digest, device=weight.device, dtype=weight.dtype)
