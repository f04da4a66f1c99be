"""What all front doors of one gateway share, put together once."""

from __future__ import annotations

from dataclasses import dataclass

from service.errors import CATALOGUE
from service.gateway.access.access import Access
from service.gateway.admission import Admission
from service.gateway.attendance import Attendance
from service.gateway.cards import FleetCache
from service.gateway.drain import Drain
from service.gateway.engine_watch import EngineWatch
from service.gateway.native_jobs import NativeJobs
from service.gateway.use_cases import ImageGeneration
from service.jobs.queue import JobQueue
from service.metrics import Metrics
from service.settings import GatewaySettings


@dataclass(frozen=True, kw_only=True)
class Services:
    queue: JobQueue
    settings: GatewaySettings
    metrics: Metrics
    access: Access
    fleet: FleetCache
    attendance: Attendance
    engine_watch: EngineWatch
    admission: Admission
    generation: ImageGeneration
    jobs: NativeJobs
    drain: Drain


def build_services(*, queue: JobQueue, settings: GatewaySettings, metrics: Metrics) -> Services:
    """Raises ValueError for a wrong keys file."""
    fleet = FleetCache(
        queue,
        ttl_seconds=settings.models_ttl_seconds,
        timeout_seconds=settings.queue_timeout_seconds,
    )
    metrics.expect_refusals(entry.code for entry in CATALOGUE.values())
    drain = Drain()
    attendance = Attendance(queue=queue, settings=settings)
    engine_watch = EngineWatch(queue=queue, fleet=fleet, settings=settings)
    return Services(
        queue=queue,
        settings=settings,
        metrics=metrics,
        access=Access(queue=queue, settings=settings, metrics=metrics),
        fleet=fleet,
        attendance=attendance,
        admission=Admission(
            queue=queue, fleet=fleet, settings=settings, metrics=metrics, attendance=attendance
        ),
        engine_watch=engine_watch,
        generation=ImageGeneration(
            queue=queue,
            settings=settings,
            metrics=metrics,
            attendance=attendance,
            engine_watch=engine_watch,
        ),
        jobs=NativeJobs(queue=queue, fleet=fleet, settings=settings, drain=drain),
        drain=drain,
    )
