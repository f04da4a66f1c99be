"""The name of every key in Redis, and what lives there.

All keys of one job share a prefix, so that a look at Redis explains itself.
"""

from __future__ import annotations

from dataclasses import dataclass

GROUP = "workers"
"""The consumer group of every waiting stream."""


@dataclass(frozen=True, kw_only=True)
class Keys:
    prefix: str

    def waiting(self, model: str) -> str:
        """Stream: one entry per job of the model that has not ended; pending while leased."""
        return f"{self.prefix}:waiting:{model}"

    @property
    def outstanding(self) -> str:
        """Sorted set: ids of jobs that have not ended, by creation time."""
        return f"{self.prefix}:outstanding"

    @property
    def job_prefix(self) -> str:
        """Scripts that meet a job's id for the first time append it to this."""
        return f"{self.prefix}:job:"

    def job(self, job_id: str) -> str:
        """Hash: request, state, lease, and how far each image has come."""
        return f"{self.job_prefix}{job_id}"

    def log(self, job_id: str) -> str:
        """Stream: the job's event log."""
        return f"{self.job(job_id)}:log"

    def picture(self, job_id: str, digest: str) -> str:
        """String: encoded bytes of one picture."""
        return f"{self.job(job_id)}:picture:{digest}"

    @property
    def models(self) -> str:
        """Hash: model id to its card."""
        return f"{self.prefix}:models"

    @property
    def worker_prefix(self) -> str:
        return f"{self.prefix}:worker:"

    def worker(self, worker_id: str) -> str:
        """String: a worker's heartbeat, which expires by itself."""
        return f"{self.worker_prefix}{worker_id}"
