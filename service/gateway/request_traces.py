"""What a request leaves in logs and traces once it has become a job."""

from __future__ import annotations

import logging

from structlog.contextvars import bind_contextvars, get_contextvars

from service.gateway.admission import AcceptedJob
from service.tracing import current

logger = logging.getLogger(__name__)


def became_job(accepted: AcceptedJob, *, user: str | None = None) -> None:
    """The request's one line in the log; job and request name each other from here on."""
    bind_contextvars(job_id=accepted.job.id)
    current.get().set({"nfig.job.id": accepted.job.id})
    request_id = get_contextvars().get("request_id")
    logger.info("request %s became job %s, user %r", request_id, accepted.job.id, user)
