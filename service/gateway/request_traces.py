"""What a request leaves in logs and traces about its job: the one it became, or asks about."""

from __future__ import annotations

import logging

from structlog.contextvars import bind_contextvars, get_contextvars

from service.gateway.admission import AcceptedJob
from service.tracing import current

logger = logging.getLogger(__name__)


def is_about_job(job_id: str) -> None:
    """Names the job in every line and in the span of the running request."""
    bind_contextvars(job_id=job_id)
    current.get().set({"nfig.job.id": job_id})


def became_job(accepted: AcceptedJob, *, user: str | None = None) -> None:
    """The request's one line in the log; job and request name each other from here on."""
    is_about_job(accepted.job.id)
    request_id = get_contextvars().get("request_id")
    logger.info("request %s became job %s, user %r", request_id, accepted.job.id, user)
