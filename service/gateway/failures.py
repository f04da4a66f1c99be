"""What the caller of any front door may know of an error, and when to come back."""

from __future__ import annotations

import logging

from service.errors import Internal, ServiceError

logger = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
"""When to come back if the error itself does not say."""


def as_service_error(error: Exception, *, request_id: str) -> ServiceError:
    """What the caller may know of an error; a defect of ours is logged with its traceback."""
    if isinstance(error, ServiceError) and not isinstance(error, Internal):
        return error
    logger.error("request %s failed", request_id, exc_info=error)
    if isinstance(error, Internal):
        return error
    return Internal("something went wrong inside the service; the request id helps to find it")
