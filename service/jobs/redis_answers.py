"""What Redis answers, in our words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.domain import ANONYMOUS, Job, JobState
from service.errors import JobLost
from service.jobs import codec
from service.jobs.progress import depth_reached, out_of_memory
from service.jobs.queue import Lease, Origin


def job_of(
    job_id: str,
    request: bytes,
    state: bytes,
    created: bytes,
    attempts: bytes | int,
    tenant: bytes | None,
    *,
    attached: bool = False,
) -> Job:
    """Raises ValueError if the request cannot be read."""
    return Job(
        id=job_id,
        request=codec.decode_request(request),
        state=JobState(state.decode()),
        created_at=int(created) / 1e6,
        attempts=int(attempts),
        tenant=tenant.decode() if tenant else ANONYMOUS,
        attached=attached,
    )


def lease_of(facts: Sequence[Any], *, worker_id: str) -> Lease:
    """One job as `lease.lua` tells of it. Raises ValueError if the request cannot be read."""
    job_id, request, created, epoch, attempts, tenant, now, _, attached, max_bands, *origin = facts
    return Lease(
        job=job_of(
            job_id.decode(),
            request,
            b"running",
            created,
            attempts,
            tenant,
            attached=bool(attached),
        ),
        worker_id=worker_id,
        epoch=epoch,
        leased_at=int(now) / 1e6,
        max_bands=int(max_bands) or None,
        origin=_origin(*origin),
    )


def _origin(request_id: bytes, traceparent: bytes, tracestate: bytes) -> Origin:
    return Origin(
        request_id=request_id.decode(),
        traceparent=traceparent.decode(),
        tracestate=tracestate.decode(),
    )


def require_room(answer: bytes, depth: int) -> None:
    """What a script that accepts a job answers, given the depth that it was told. Raises
    QueueFull."""
    if answer == b"full":
        raise depth_reached(depth)
    if answer == b"memory":
        raise out_of_memory()


def cancel_wanted(answer: bytes, lease: Lease) -> bool:
    """What a script that writes for a lease answers. Raises JobLost."""
    if answer == b"lost":
        raise JobLost(f"job {lease.job.id} is no longer held by {lease.worker_id}")
    return answer == b"cancel"
