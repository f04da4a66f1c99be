"""The catalogue of every series the service exports: name, unit, labels, buckets.

Built once per process on a registry of its own; labels are bounded (never class, job or tenant).
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

BAND_BUCKETS = tuple(0.001 * 2**i for i in range(13))
JOB_BUCKETS = tuple(0.01 * 2**i for i in range(13))
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32)


class Metrics:
    """One attribute per series."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = r = registry or CollectorRegistry()
        self.band_latency = Histogram(
            "nfig_band_latency_seconds",
            "Time of one executed batch and band where it ran, pixels excluded",
            ["model", "band"],
            buckets=BAND_BUCKETS,
            registry=r,
        )
        self.batch_size = Histogram(
            "nfig_batch_size",
            "Rows of an executed batch",
            ["model"],
            buckets=BATCH_BUCKETS,
            registry=r,
        )
        self.first_preview = Histogram(
            "nfig_first_preview_seconds",
            "Acceptance to the first preview",
            ["model"],
            buckets=JOB_BUCKETS,
            registry=r,
        )
        self.job_queue = Histogram(
            "nfig_job_queue_seconds",
            "Acceptance to lease",
            ["model"],
            buckets=JOB_BUCKETS,
            registry=r,
        )
        self.job = Histogram(
            "nfig_job_seconds",
            "Acceptance to terminal event",
            ["model", "outcome"],
            buckets=JOB_BUCKETS,
            registry=r,
        )
        self.queue_depth = Gauge("nfig_queue_depth", "Jobs waiting or running", registry=r)
        self.stream_clients = Gauge("nfig_stream_clients", "Open client streams", registry=r)
        self.previews_dropped = Counter(
            "nfig_previews_dropped_total", "Previews given up under load", ["model"], registry=r
        )
        self.job_redeliveries = Counter(
            "nfig_job_redeliveries_total", "Leases after the first", ["model"], registry=r
        )
        self.jobs_refused = Counter(
            "nfig_jobs_refused_total", "Requests refused at the door", ["reason"], registry=r
        )
        self._add_saving()

    def _add_saving(self) -> None:
        """What is left out for a deadline or in a brownout."""
        r = self.registry
        self.bands_saved = Counter(
            "nfig_bands_saved_total",
            "Bands that were asked for and left out, by reason",
            ["model", "reason"],
            registry=r,
        )
        self.brownout_level = Gauge(
            "nfig_brownout_level",
            "Bands that this worker leaves out on average, of requests that accept fewer",
            ["model"],
            registry=r,
        )
        self.jobs_browned_out = Counter(
            "nfig_jobs_browned_out_total", "Jobs that got fewer bands", ["model"], registry=r
        )
