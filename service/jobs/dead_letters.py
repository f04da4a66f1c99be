"""Jobs that were given up because one worker after another died of them, or while it had them, or
because the engine that began them is gone.

Each has failed like any other job, for its owner; the letter is for operators (`nfig-admin jobs`).
"""

from __future__ import annotations

from dataclasses import dataclass

from service.domain import JobFailed
from service.errors import NotFound


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A job that was given up."""

    job_id: str
    at: float
    """Unix seconds on the queue's clock: when it was given up."""
    tenant: str
    attempts: int
    worker_id: str
    """Who had it last."""
    failure: JobFailed


def no_letter(job_id: str) -> NotFound:
    return NotFound(f"there is no dead letter of job {job_id}", field="job_id")


def no_upload(job_id: str) -> NotFound:
    return NotFound(f"the uploaded image of job {job_id} has expired", field="job_id")
