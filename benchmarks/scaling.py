"""`python -m benchmarks.scaling`: how many of each part so many images per second take.

Reckoned from the newest results of `per_image` and `gateway_cost`, and run through the queueing
model with callers that come at random. `--write` puts the tables into docs/scaling.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.queue_model import Model, Simulation, at_random
from benchmarks.reports import markdown_table, newest_result, quantile, with_part
from service.settings import GatewaySettings, WorkerSettings

PAGE = Path(__file__).parents[1] / "docs" / "scaling.md"
PLACE = "python -m benchmarks.scaling --write"
RATES = (1, 100, 10_000)
BUSY = 0.6
"""Share of its time that a part may be busy when the load is as planned."""
LEAST = 2
"""Of each part that can be doubled, so that one may go."""
TRITON_CORES = 2
BANDS = 5
GIB = 2**30
SHORT_RETENTION = 60.0
REDIS_GIB = 1.0
"""The `maxmemory` of docker-compose.yml and of the manifests."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What an image takes, as measured: seconds on a core, and what it leaves in Redis."""

    gateway: float
    streamed_band: float
    """Of a gateway, for each band that one caller watches."""
    worker: float
    triton: float
    redis: float
    commands: float
    bytes: float
    dates: tuple[str, ...]

    @classmethod
    def newest(cls) -> Costs:
        image, gateway = (newest_result(name) for name in ("per-image", "gateway-cost"))
        (row,) = image["rows"]
        streamed = next(each for each in gateway["rows"] if each["per"] == "streamed band")
        return cls(
            gateway=row["gateway us"] / 1e6,
            streamed_band=streamed["gateway us"] / 1e6,
            worker=row["worker us"] / 1e6,
            triton=row["engine us"] / 1e6,
            redis=row["Redis us"] / 1e6,
            commands=row["Redis commands"],
            bytes=row["Redis bytes"],
            dates=tuple(f"{each['name']} of {each['date'][:10]}" for each in (image, gateway)),
        )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a rate of images takes."""

    rate: float
    gateways: int
    watched: int
    """Gateways if every image is watched band by band."""
    workers: int
    tritons: int
    redises: int
    commands: float
    """Per second, of all together."""
    gib: float
    """Of results, as long as they are kept by default."""
    short_gib: float


def plan(costs: Costs, rate: float) -> Plan:
    tritons = _parts(rate * costs.triton / TRITON_CORES)
    retention = float(GatewaySettings.model_fields["retention_seconds"].default)
    return Plan(
        rate=rate,
        gateways=_parts(rate * costs.gateway),
        watched=_parts(rate * (costs.gateway + BANDS * costs.streamed_band)),
        # A worker is tied to one Triton, so no fewer than those.
        workers=max(_parts(rate * costs.worker), tritons),
        tritons=tritons,
        redises=_parts(rate * costs.redis, least=1),
        commands=rate * costs.commands,
        gib=rate * costs.bytes * retention / GIB,
        short_gib=rate * costs.bytes * SHORT_RETENTION / GIB,
    )


def _parts(cores: float, *, least: int = LEAST) -> int:
    """How many, each of them busy for no more than its share."""
    return max(least, math.ceil(cores / BUSY))


def model_of(costs: Costs, tritons: int) -> Model:
    """Each worker with a Triton of its own, of an instance per core, whose batches take as long as
    their images would one by one: what a processor does, and the worst that a GPU could."""
    return Model(
        workers=tritons,
        slots=int(WorkerSettings.model_fields["max_generations"].default),
        # What gateways let in is bounded by a setting; here it shows how much would wait.
        depth=10**9,
        batches=TRITON_CORES,
        batch_sizes=(1, 2, 3, 4, 6, 8, 10, 12, 16),
        bands=BANDS,
        gather_seconds=0.002,
        band_seconds=lambda _band, size: size * costs.triton / BANDS,
        path_seconds=costs.gateway + costs.worker + costs.redis,
    )


def simulated(costs: Costs, rate: float, tritons: int) -> tuple[float, float]:
    """p50 and p99 seconds of an image when this rate comes at random."""
    arrivals = at_random(rate, max(3.0, min(2000.0, 20_000 / rate)), seed=11)
    fates = Simulation(model_of(costs, tritons)).run(arrivals)
    took = [fate.seconds for fate in fates]
    return quantile(took, 0.5), quantile(took, 0.99)


def limits(costs: Costs) -> list[tuple[str, float]]:
    """Images per second at which one of a kind is as busy or as full as it may be, least first."""
    retention = float(GatewaySettings.model_fields["retention_seconds"].default)
    # Four fifths of it are for jobs.
    room = 0.8 * REDIS_GIB * GIB
    memory = f"the memory of a Redis of {REDIS_GIB:g} GiB, results kept for"
    by_memory = [
        (f"{memory} {kept:,.0f} s", room / (costs.bytes * kept))
        for kept in (retention, SHORT_RETENTION)
    ]
    by_time = [
        (f"a Triton of {TRITON_CORES} cores", BUSY * TRITON_CORES / costs.triton),
        ("the core of a worker", BUSY / costs.worker),
        ("the core of a gateway, callers wait", BUSY / costs.gateway),
        (
            "the core of a gateway, callers watch",
            BUSY / (costs.gateway + BANDS * costs.streamed_band),
        ),
        ("the core of the Redis", BUSY / costs.redis),
    ]
    return sorted(by_memory + by_time, key=lambda each: each[1])


def per_million(costs: Costs) -> list[tuple[str, str, float]]:
    """What a million images take: symbol, unit, amount."""
    hours = 1e6 / 3600 / BUSY
    retention = float(GatewaySettings.model_fields["retention_seconds"].default)
    return [
        ("H_gateway", "core-hours of gateways", hours * costs.gateway),
        ("H_worker", "core-hours of workers", hours * costs.worker),
        ("H_redis", "core-hours of Redis", hours * costs.redis),
        ("H_triton", "core-hours of Triton", hours * costs.triton),
        ("M_redis", "GiB-hours of Redis", 1e6 * costs.bytes * retention / 3600 / GIB),
    ]


def page_part(costs: Costs) -> str:
    ends = [[name, f"{rate:,.0f}"] for name, rate in limits(costs)]
    amounts = [[f"`{name}`", unit, f"{amount:,.1f}"] for name, unit, amount in per_million(costs)]
    parts = [
        f"Measured: {', '.join(costs.dates)}.",
        markdown_table(["per image", "measured"], measured_rows(costs)),
        markdown_table(["images/s", *(f"{rate:,}" for rate in RATES)], planned_rows(costs)),
        markdown_table(["one of a kind", "images/s"], ends),
        markdown_table(["per million images", "", "amount"], amounts),
    ]
    return "\n\n".join(parts)


def measured_rows(costs: Costs) -> list[list[str]]:
    return [
        ["gateway, caller waits", f"{costs.gateway * 1e3:.2f} ms of a core"],
        ["gateway, per watched band", f"{costs.streamed_band * 1e3:.2f} ms of a core"],
        ["worker", f"{costs.worker * 1e3:.2f} ms of a core"],
        ["Triton", f"{costs.triton * 1e3:.1f} ms of a core"],
        ["Redis", f"{costs.redis * 1e3:.2f} ms of its core"],
        ["Redis commands", f"{costs.commands:.0f}"],
        ["Redis memory", f"{costs.bytes:,.0f} bytes"],
    ]


def planned_rows(costs: Costs) -> list[list[str]]:
    plans = [plan(costs, rate) for rate in RATES]
    times = [simulated(costs, each.rate, each.tritons) for each in plans]
    fewer = [simulated(costs, each.rate, each.tritons - 1) for each in plans]
    return [
        ["gateways, callers wait", *(f"{each.gateways:,}" for each in plans)],
        ["gateways, callers watch", *(f"{each.watched:,}" for each in plans)],
        ["workers", *(f"{each.workers:,}" for each in plans)],
        [f"Tritons of {TRITON_CORES} cores", *(f"{each.tritons:,}" for each in plans)],
        ["Redis servers", *(f"{each.redises:,}" for each in plans)],
        ["Redis commands/s", *(f"{each.commands:,.0f}" for each in plans)],
        ["Redis GiB, kept for an hour", *(f"{each.gib:,.3f}" for each in plans)],
        ["Redis GiB, kept for a minute", *(f"{each.short_gib:,.3f}" for each in plans)],
        ["simulated p50", *(f"{p50 * 1e3:,.0f} ms" for p50, _ in times)],
        ["simulated p99", *(f"{p99 * 1e3:,.0f} ms" for _, p99 in times)],
        ["simulated p99, one Triton gone", *(f"{p99 * 1e3:,.0f} ms" for _, p99 in fewer)],
    ]


def main(
    write: Annotated[bool, typer.Option(help="Into docs/scaling.md.")] = False,
) -> None:
    """The tables of docs/scaling.md."""
    part = page_part(Costs.newest())
    typer.echo(part)
    if write:
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(with_part(text, PLACE, part), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
