"""Measures the model: what a band takes, beside the VAR model that it is compared with."""

from __future__ import annotations

from nfig.speed.baseline import (
    LABELS,
    Baseline,
    BaselineReport,
    measure_band_seconds,
    measure_baselines,
)
from nfig.speed.clock import DisturbedError
from nfig.speed.sizes import baseline_config

__all__ = [
    "LABELS",
    "Baseline",
    "BaselineReport",
    "DisturbedError",
    "baseline_config",
    "measure_band_seconds",
    "measure_baselines",
]
