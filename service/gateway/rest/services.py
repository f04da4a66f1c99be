"""What the routes of one app share, and how a route gets hold of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Path, Request

from service.gateway.access.access import Access
from service.gateway.admission import Admission
from service.gateway.attendance import Attendance
from service.gateway.cards import FleetCache
from service.gateway.drain import Drain
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
    admission: Admission
    generation: ImageGeneration
    jobs: NativeJobs
    drain: Drain


async def _services(request: Request) -> Services:
    # Not a plain function: FastAPI would send that to a thread.
    return cast(Services, request.app.state.services)


SharedServices = Annotated[Services, Depends(_services)]
JobId = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
