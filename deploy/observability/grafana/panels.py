"""What is on each dashboard: a title, a sentence and the queries of every panel.

`generate.py` makes Grafana's JSON of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

RATE = "[$__rate_interval]"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One picture; each query is PromQL and what its lines are called."""

    title: str
    about: str
    queries: Sequence[tuple[str, str]]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 8
    exemplars: bool = False


def quantiles(histogram: str, by: str = "") -> list[tuple[str, str]]:
    """Median and 95th percentile over the labels `by` ("model" is always one)."""
    labels = ", ".join(filter(None, ["model", by, "le"]))
    name = f"{{{{{by}}}}} " if by else ""
    return [
        (
            f"histogram_quantile({q}, sum by ({labels}) "
            f'(rate({histogram}_bucket{{model=~"$model"}}{RATE})))',
            f"{name}{word}",
        )
        for q, word in ((0.5, "median"), (0.95, "95 %"))
    ]


def mean(histogram: str, name: str, matching: str = "") -> tuple[str, str]:
    which = f'{{model=~"$model"{matching}}}'
    total, count = (f"sum(rate({histogram}_{part}{which}{RATE}))" for part in ("sum", "count"))
    return f"{total} / {count}", name


SPEEDUP = 'model_band:nfig_band_speedup:ratio_rate5m{model=~"$model", baseline="%s"}'

SERVICE = [
    Panel(
        title="Jobs by outcome",
        about="Jobs that ended, per second.",
        queries=[
            (
                f'sum by (outcome) (rate(nfig_job_seconds_count{{model=~"$model"}}{RATE}))',
                "{{outcome}}",
            )
        ],
        unit="ops",
    ),
    Panel(
        title="Accepted and refused",
        about="Requests at the door, per second: those that became jobs, and those that did not.",
        queries=[
            (f"sum(rate(nfig_jobs_accepted_total{RATE}))", "accepted"),
            (f"sum(rate(nfig_jobs_refused_total{RATE}))", "refused"),
        ],
        unit="ops",
    ),
    Panel(
        title="Refusals by reason",
        about="Only reasons that occurred in the time shown; their codes are those of docs/api.md.",
        queries=[
            ("sum by (reason) (increase(nfig_jobs_refused_total[$__range])) > 0", "{{reason}}")
        ],
        kind="bargauge",
    ),
    Panel(
        title="Where the time goes",
        about="Mean seconds of the parts of a job; bands are all bands of an image together.",
        queries=[
            mean("nfig_job_queue_seconds", "queue"),
            mean("nfig_batch_wait_seconds", "batch wait"),
            (
                f'sum(rate(nfig_band_latency_seconds_sum{{model=~"$model"}}{RATE})) / '
                f'sum(rate(nfig_batch_size_count{{model=~"$model"}}{RATE}))',
                "bands",
            ),
            mean("nfig_decode_seconds", "decode", ', kind="image"'),
            mean("nfig_encode_seconds", "encode", ', kind="image"'),
        ],
        kind="stacked",
        unit="s",
        width=12,
    ),
    Panel(
        title="Acceptance to the end",
        about="Of jobs of every outcome; the points are traces.",
        queries=quantiles("nfig_job_seconds"),
        unit="s",
        exemplars=True,
        width=12,
    ),
    Panel(
        title="First preview",
        about="Acceptance to the first picture that somebody sees.",
        queries=quantiles("nfig_first_preview_seconds"),
        unit="s",
    ),
    Panel(
        title="Watchers",
        about="Open streams of events, of all gateways together.",
        queries=[("sum(nfig_stream_clients)", "watchers")],
    ),
    Panel(
        title="Parts that answer",
        about="Gateways, workers and Tritons that Prometheus reaches.",
        queries=[("sum by (job) (up)", "{{job}}")],
        kind="stat",
    ),
]
MODEL = [
    Panel(
        title="Latency by band and time",
        about="Median of each band's batches: a row per band, from blue, quick, to red, slow.",
        queries=[('model_band:nfig_band_latency_seconds:p50_rate5m{model=~"$model"}', "{{band}}")],
        kind="cells",
        unit="s",
        width=12,
    ),
    Panel(
        title="Slowest bands",
        about="95th percentile of each band of late.",
        queries=[
            ('model_band:nfig_band_latency_seconds:p95_rate5m{model=~"$model"}', "band {{band}}")
        ],
        kind="bargauge",
        unit="s",
        width=12,
    ),
    Panel(
        title="Speedup of each band over VAR as published",
        about="VAR a quarter deeper, as its authors run it, on this host; above 1 is faster.",
        queries=[(SPEEDUP % "as_published", "band {{band}}")],
        kind="bargauge",
    ),
    Panel(
        title="Speedup of each band over VAR in the same code",
        about="The same network run by this service's code: what the smaller model alone brings.",
        queries=[(SPEEDUP % "same_code", "band {{band}}")],
        kind="bargauge",
    ),
    Panel(
        title="Speedup over time",
        about="Of whole images, against both baselines.",
        queries=[
            ('model:nfig_band_speedup:ratio_rate5m{model=~"$model"}', "{{model}} {{baseline}}")
        ],
    ),
    Panel(
        title="Speedup by band and time",
        about="Against VAR as published: one line of cells per band.",
        queries=[(SPEEDUP % "as_published", "{{band}}")],
        kind="cells",
        width=12,
    ),
    Panel(
        title="What the baseline is",
        about="Model, device, dtype, threads, batch sizes and date of the measurement.",
        queries=[('nfig_baseline_info{model=~"$model"}', "")],
        kind="table",
        width=12,
    ),
    Panel(
        title="Batch sizes",
        about="Batches of each size, padding included.",
        queries=[
            (f'sum by (le) (increase(nfig_batch_size_bucket{{model=~"$model"}}{RATE}))', "{{le}}")
        ],
        kind="heatmap",
    ),
    Panel(
        title="Previews given up",
        about="Per second: under load previews give way to images.",
        queries=[(f'sum(rate(nfig_previews_dropped_total{{model=~"$model"}}{RATE}))', "previews")],
        unit="ops",
    ),
    Panel(
        title="Brownout",
        about="Bands left out, on average of requests that accept fewer, and per second.",
        queries=[
            ('max(nfig_brownout_level{model=~"$model"})', "level"),
            (
                f'sum by (reason) (rate(nfig_bands_saved_total{{model=~"$model"}}{RATE}))',
                "bands saved: {{reason}}",
            ),
        ],
    ),
    Panel(
        title="Triton's queue",
        about="Mean seconds that a request waits in Triton, by its model.",
        queries=[
            (
                f"sum by (model) (rate(nv_inference_queue_duration_us{RATE})) / 1e6 / "
                f"sum by (model) (rate(nv_inference_request_success{RATE}))",
                "{{model}}",
            )
        ],
        unit="s",
    ),
    Panel(
        title="Triton's batches",
        about="Mean requests per execution, by Triton's model.",
        queries=[
            (
                f"sum by (model) (rate(nv_inference_count{RATE})) / "
                f"sum by (model) (rate(nv_inference_exec_count{RATE}))",
                "{{model}}",
            )
        ],
    ),
    Panel(
        title="Triton's failures",
        about="Per second, by its model; who cancels is none.",
        queries=[
            (
                f'sum by (model) (rate(nv_inference_request_failure{{reason!="CANCELED"}}{RATE}))',
                "{{model}}",
            )
        ],
        unit="ops",
    ),
]
QUEUE = [
    Panel(
        title="Jobs in the queue",
        about="Waiting or running.",
        queries=[("max(nfig_queue_depth)", "jobs")],
    ),
    Panel(
        title="Oldest job",
        about="Since its acceptance, of those that have not ended.",
        queries=[("max(nfig_oldest_job_age_seconds)", "oldest")],
        unit="s",
    ),
    Panel(
        title="Leases",
        about="Jobs that workers hold.",
        queries=[('sum by (model) (nfig_leases{model=~"$model"})', "{{model}}")],
    ),
    Panel(
        title="Waiting for a worker",
        about="Acceptance to lease.",
        queries=quantiles("nfig_job_queue_seconds"),
        unit="s",
    ),
    Panel(
        title="Workers",
        about="By whether their engine can draw.",
        queries=[
            ('max by (model, engine) (nfig_workers{model=~"$model"})', "{{model}} {{engine}}")
        ],
        kind="stat",
    ),
    Panel(
        title="Redis' memory",
        about="In use, and what accepted jobs may still come to.",
        queries=[("max by (kind) (nfig_queue_memory_bytes)", "{{kind}}")],
        unit="bytes",
    ),
    Panel(
        title="Redeliveries",
        about="Jobs taken over from workers that went silent, per second.",
        queries=[(f'sum(rate(nfig_job_redeliveries_total{{model=~"$model"}}{RATE}))', "takeovers")],
        unit="ops",
    ),
    Panel(
        title="Dead letters",
        about="Jobs that were given up and wait for somebody to look: nfig-admin jobs dead.",
        queries=[("max(nfig_dead_letters)", "letters")],
        kind="stat",
    ),
    Panel(
        title="Browned out",
        about="Jobs that got fewer bands, per second.",
        queries=[(f'sum(rate(nfig_jobs_browned_out_total{{model=~"$model"}}{RATE}))', "jobs")],
        unit="ops",
    ),
]
DASHBOARDS = {
    "service": ("NFIG: service", SERVICE),
    "model": ("NFIG: model", MODEL),
    "queue": ("NFIG: queue and workers", QUEUE),
}
