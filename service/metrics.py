"""The catalogue of every series the service exports: name, unit, labels, buckets.

Built once per process on a registry of its own; labels are bounded (never class, job or tenant). A
series that has nothing to say is not there. docs/operations.md has the same as a table, and a test
holds the two equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from service.tracing import current_trace_id

BAND_BUCKETS = tuple(0.001 * 2**i for i in range(13))
"""1 ms to 4 s: a small model on a processor to a large one under load."""
STEP_BUCKETS = BAND_BUCKETS
"""Of what happens to one picture: as long as a band, or shorter."""
JOB_BUCKETS = tuple(0.01 * 2**i for i in range(13))
"""10 ms to 41 s: what somebody waits for."""
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32)


class TracedHistogram(Histogram):
    """Its buckets name a trace that fell into them, where what is observed belongs to one."""

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        trace_id = current_trace_id()
        if exemplar is None and trace_id is not None:
            exemplar = {"trace_id": trace_id}
        super().observe(amount, exemplar)


class Metrics:
    """One attribute per series."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._add_bands()
        self._add_pictures()
        self._add_jobs()
        self._add_saving()
        self._add_door()
        self._add_queue()

    def expect_model(self, model: str) -> None:
        """Series of rare events begin at 0: from nothing, the first event would be no increase."""
        for rare in (self.previews_dropped, self.job_redeliveries, self.jobs_browned_out):
            rare.labels(model=model)
        for reason in ("brownout", "deadline"):
            self.bands_saved.labels(model=model, reason=reason)
        for gauge in (self.brownout_level, self.leases):
            gauge.labels(model=model)

    def expect_refusals(self, reasons: Iterable[str]) -> None:
        """The same for the door."""
        for reason in reasons:
            self.jobs_refused.labels(reason=reason)

    def _add_bands(self) -> None:
        """What the in-process engine executes; Triton's model exports the same of itself."""
        self.band_latency = self._histogram(
            "nfig_band_latency_seconds",
            "Time of one executed batch and band where it ran, pixels excluded",
            ["model", "band"],
            BAND_BUCKETS,
        )
        self.batch_size = self._histogram(
            "nfig_batch_size",
            "Rows of an executed batch, padding included",
            ["model"],
            BATCH_BUCKETS,
        )
        self.band_seconds = self._counter(
            "nfig_band_seconds_total",
            "Time in bands for which a baseline has been measured",
            ["model", "band"],
        )
        self.band_baseline_seconds = self._counter(
            "nfig_band_baseline_seconds_total",
            "What the baseline takes for the same bands and batch sizes, as measured on this host",
            ["model", "band", "baseline"],
        )
        self.baseline_info = self._gauge(
            "nfig_baseline_info",
            "What the baseline is and where it was measured; always 1",
            [
                *("model", "baseline", "baseline_model", "device", "dtype", "threads"),
                *("batch_sizes", "date"),
            ],
        )

    def _add_pictures(self) -> None:
        """The way of one picture through a worker, beside its bands."""
        self.batch_wait = self._histogram(
            "nfig_batch_wait_seconds",
            "Asking the engine for an image until its batch began",
            ["model"],
            STEP_BUCKETS,
        )
        self.decode = self._histogram(
            "nfig_decode_seconds",
            "Canvas to pixels, as the worker waits for it",
            ["model", "kind"],
            STEP_BUCKETS,
        )
        self.encode = self._histogram(
            "nfig_encode_seconds", "Pixels to a file", ["model", "kind"], STEP_BUCKETS
        )
        self.first_preview = self._histogram(
            "nfig_first_preview_seconds", "Acceptance to the first preview", ["model"], JOB_BUCKETS
        )
        self.previews_dropped = self._counter(
            "nfig_previews_dropped_total", "Previews given up under load", ["model"]
        )

    def _add_jobs(self) -> None:
        self.job_queue = self._histogram(
            "nfig_job_queue_seconds", "Acceptance to lease", ["model"], JOB_BUCKETS
        )
        self.job = self._histogram(
            "nfig_job_seconds", "Acceptance to terminal event", ["model", "outcome"], JOB_BUCKETS
        )
        self.job_redeliveries = self._counter(
            "nfig_job_redeliveries_total", "Leases after the first", ["model"]
        )
        self.leases = self._gauge("nfig_leases", "Jobs that this worker holds", ["model"])

    def _add_saving(self) -> None:
        """What is left out for a deadline or in a brownout."""
        self.bands_saved = self._counter(
            "nfig_bands_saved_total",
            "Bands that were asked for and left out, by reason",
            ["model", "reason"],
        )
        self.brownout_level = self._gauge(
            "nfig_brownout_level",
            "Bands that this worker leaves out on average, of requests that accept fewer",
            ["model"],
        )
        self.jobs_browned_out = self._counter(
            "nfig_jobs_browned_out_total", "Jobs that got fewer bands", ["model"]
        )

    def _add_door(self) -> None:
        self.jobs_accepted = self._counter("nfig_jobs_accepted_total", "Jobs let in", ["model"])
        self.jobs_refused = self._counter(
            "nfig_jobs_refused_total", "Requests refused at the door", ["reason"]
        )
        self.stream_clients = Gauge(
            "nfig_stream_clients", "Open client streams", registry=self.registry
        )

    def _add_queue(self) -> None:
        """What a gateway finds in Redis when it is asked; every gateway finds the same."""
        r = self.registry
        self.queue_depth = Gauge("nfig_queue_depth", "Jobs waiting or running", registry=r)
        self.oldest_job_age = Gauge(
            "nfig_oldest_job_age_seconds",
            "Since the acceptance of the oldest job that has not ended; 0 without any",
            registry=r,
        )
        self.dead_letters = Gauge("nfig_dead_letters", "Jobs that were given up", registry=r)
        self.queue_memory = self._gauge(
            "nfig_queue_memory_bytes",
            "What Redis uses, what accepted jobs may still come to, and the most of both together",
            ["kind"],
        )
        self.workers = self._gauge(
            "nfig_workers", "Live workers, by whether their engine can draw", ["model", "engine"]
        )

    def _histogram(
        self, name: str, text: str, labels: Sequence[str], buckets: Sequence[float]
    ) -> Histogram:
        return TracedHistogram(name, text, labels, buckets=buckets, registry=self.registry)

    def _counter(self, name: str, text: str, labels: Sequence[str]) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: Sequence[str]) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)
