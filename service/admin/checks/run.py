"""All checks in order, from the settings outwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Literal

from service.admin.checks.door import check_door
from service.admin.checks.findings import Finding
from service.admin.checks.queue import check_queue
from service.admin.checks.settings import check_settings, check_sources
from service.settings import GatewaySettings, QueueSettings, SettingsKind, WorkerSettings

Process = Literal["gateway", "worker"]


async def run_checks(processes: frozenset[Process]) -> AsyncIterator[Finding]:
    """Of the processes that are to run with these settings."""
    gateway, found = _read(GatewaySettings, "gateway" in processes)
    worker, more = _read(WorkerSettings, "worker" in processes)
    shared: QueueSettings | None = gateway or worker
    for finding in (*found, *more):
        yield finding
    if shared is None:
        return
    for finding in check_sources(shared):
        yield finding
    async for finding in _parts(shared, gateway, worker):
        yield finding


def _read(kind: type[SettingsKind], wanted: bool) -> tuple[SettingsKind | None, Sequence[Finding]]:
    return check_settings(kind) if wanted else (None, ())


async def _parts(
    shared: QueueSettings, gateway: GatewaySettings | None, worker: WorkerSettings | None
) -> AsyncIterator[Finding]:
    if gateway is not None:
        for finding in check_door(gateway):
            yield finding
    async for finding in check_queue(shared):
        yield finding
    if worker is not None:
        # Only a worker's installation has what this needs.
        from service.admin.checks.engine import check_engine

        async for finding in check_engine(worker):
            yield finding
