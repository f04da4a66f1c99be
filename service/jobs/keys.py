"""The name of every key in Redis, and what lives there.

All keys of one job share a prefix, so that a look at Redis explains itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.domain import PRIORITIES, Priority

GROUP = "workers"
"""The consumer group of every waiting stream, and its one consumer: who holds a job stands in the
job, so that workers which come and go leave nothing behind."""
LOG_SUFFIX = ":log"
PICTURES_SUFFIX = ":pictures"
UPLOAD_SUFFIX = ":upload"
"""`ending.lua` knows it too."""
PROMISED_SUFFIX = ":bytes"
"""`accepting.lua` and `ending.lua` know it too."""
ATTENDANCE_SUFFIX = ":attendance"
"""`attendance.lua` and `ending.lua` know it too."""


@dataclass(frozen=True, kw_only=True)
class Keys:
    prefix: str

    def waiting(self, model: str, priority: Priority) -> str:
        """Stream: one entry per job that has not ended; pending while leased. Gone when empty."""
        return f"{self.waiting_prefix}{priority}:{model}"

    def all_waiting(self, model: str) -> Sequence[str]:
        """Best priority first."""
        return [self.waiting(model, priority) for priority in PRIORITIES]

    @property
    def waiting_prefix(self) -> str:
        """Scripts that meet a job for the first time append its priority and model to this."""
        return f"{self.prefix}:waiting:"

    @property
    def outstanding(self) -> str:
        """Sorted set: ids of jobs that have not ended, by creation time."""
        return f"{self.prefix}:outstanding"

    @property
    def promised(self) -> str:
        """Number: bytes that the outstanding jobs may come to. Gone when there are none."""
        return f"{self.outstanding}{PROMISED_SUFFIX}"

    @property
    def dead(self) -> str:
        """Stream: jobs that were given up, for operators. Bounded; expires as a whole."""
        return f"{self.prefix}:dead"

    @property
    def job_prefix(self) -> str:
        """Scripts that meet a job's id for the first time append it to this."""
        return f"{self.prefix}:job:"

    def job(self, job_id: str) -> str:
        """Hash: request, state, lease, last worker and engine, and how far each image has come."""
        return f"{self.job_prefix}{job_id}"

    def log(self, job_id: str) -> str:
        """Stream: the job's event log."""
        return f"{self.job(job_id)}{LOG_SUFFIX}"

    def pictures(self, job_id: str) -> str:
        """Hash: digest to encoded bytes of the job's pictures."""
        return f"{self.job(job_id)}{PICTURES_SUFFIX}"

    def upload(self, job_id: str) -> str:
        """String: the image that the job varies; gone when the job ends, or else expires."""
        return f"{self.job(job_id)}{UPLOAD_SUFFIX}"

    def attendance(self, job_id: str) -> str:
        """Sorted set, of an attached job that has not ended: who waits for it, by the millisecond
        until which they have said so."""
        return f"{self.job(job_id)}{ATTENDANCE_SUFFIX}"

    def in_flight(self, tenant: str) -> str:
        """Set: ids of the tenant's jobs that have not ended."""
        return f"{self.prefix}:in-flight:{tenant}"

    def idempotency(self, tenant: str, key: str) -> str:
        """Hash: the job that took a caller's key, and its fingerprint; kept as long as the job."""
        return f"{self.prefix}:idempotency:{tenant}:{key}"

    def taken(self, worker_id: str) -> str:
        """String: the leases of the worker's latest call for jobs, in case that its answer is lost;
        kept for as long as a lease."""
        return f"{self.prefix}:taken:{worker_id}"

    def requests(self, tenant: str) -> str:
        """Microseconds on Redis' clock: when the tenant's request budget will be full again."""
        return f"{self.prefix}:requests:{tenant}"

    def wake(self, reader: str) -> str:
        """Stream: written to when a reader of logs, who waits, shall look at what is watched."""
        return f"{self.prefix}:wake:{reader}"

    @property
    def models(self) -> str:
        """Hash: model id to its card."""
        return f"{self.prefix}:models"

    @property
    def workers(self) -> str:
        """Hash: worker id to its heartbeat."""
        return f"{self.prefix}:workers"


def expiries(registry: str) -> str:
    """Sorted set beside a registry's hash: its ids by the time at which they are forgotten."""
    return f"{registry}:expiries"
