"""The series of executed bands as Triton's model exports them.

`service/metrics.py` has the same for the in-process engine, and a test holds them equal. Triton's
module lives in its own process alone, so the class of its metric families is handed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nfig.export.baseline import Baseline
from nfig.export.contract import BASELINES, BATCH_SIZES
from nfig.export.served_model import ServedBand

BAND_BUCKETS = [0.001 * 2**i for i in range(13)]
"""1 ms to 4 s: a small model on a processor to a large one under load."""
BATCH_BUCKETS = [float(size) for size in BATCH_SIZES]

DESCRIPTIONS: Mapping[str, str] = {
    "nfig_band_latency_seconds": "Time of one executed batch and band where it ran, pixels "
    "excluded",
    "nfig_batch_size": "Rows of an executed batch, padding included",
    "nfig_band_seconds_total": "Time in bands for which a baseline has been measured",
    "nfig_band_baseline_seconds_total": "What the baseline takes for the same bands and batch "
    "sizes, as measured on this host",
    "nfig_baseline_info": "What the baseline is and where it was measured; always 1",
}


def baseline_labels(model: str, baseline: Baseline, name: str) -> dict[str, str]:
    """The labels of `nfig_baseline_info` for one of the baselines."""
    place = baseline.place
    return {
        "model": model,
        "baseline": name,
        "baseline_model": baseline.models[name],
        "device": place.device,
        "dtype": place.dtype,
        "threads": str(place.threads),
        "batch_sizes": ",".join(map(str, sorted(baseline.seconds[name]))),
        "date": baseline.date,
    }


class BandMetrics:
    """Of one model. There are no series of speed until a baseline has been measured."""

    def __init__(self, family: Any, model: str, num_bands: int) -> None:
        """`family` is `triton_python_backend_utils.MetricFamily`."""
        self._family = family
        self._model = model
        self._families: list[Any] = []  # Triton drops what nobody holds
        self._bands = [{"model": model, "band": str(band)} for band in range(num_bands)]
        latency = self._add("nfig_band_latency_seconds", family.HISTOGRAM)
        self.latency = [
            latency.Metric(labels=labels, buckets=BAND_BUCKETS) for labels in self._bands
        ]
        batches = self._add("nfig_batch_size", family.HISTOGRAM)
        self._batch_size = batches.Metric(labels={"model": model}, buckets=BATCH_BUCKETS)
        self._seconds: list[Any] = []
        self._baseline_seconds: list[dict[str, Any]] = []

    def _add_baseline(self, baseline: Baseline) -> None:
        info = self._add("nfig_baseline_info", self._family.GAUGE)
        self._infos = [
            info.Metric(labels=baseline_labels(self._model, baseline, name)) for name in BASELINES
        ]
        for each in self._infos:
            each.set(1)
        against = self._add("nfig_band_baseline_seconds_total", self._family.COUNTER)
        self._baseline_seconds = [
            {name: against.Metric(labels={**labels, "baseline": name}) for name in BASELINES}
            for labels in self._bands
        ]
        own = self._add("nfig_band_seconds_total", self._family.COUNTER)
        self._seconds = [own.Metric(labels=labels) for labels in self._bands]

    def observe(self, step: ServedBand, baseline: Baseline | None) -> None:
        """Once per executed batch and band, however many rows it has."""
        self.latency[step.band].observe(step.seconds)
        if step.band == 0:
            self._batch_size.observe(step.batch_size)
        if step.baseline_seconds and baseline is not None:
            if not self._seconds:
                self._add_baseline(baseline)
            self._seconds[step.band].increment(step.seconds)
            for name, seconds in step.baseline_seconds.items():
                self._baseline_seconds[step.band][name].increment(seconds)

    def _add(self, name: str, kind: Any) -> Any:
        added = self._family(name=name, description=DESCRIPTIONS[name], kind=kind)
        self._families.append(added)
        return added
