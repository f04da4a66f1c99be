"""Whether a Redis can be ours at all: asked once, when a process starts.

One that does not answer may yet come, and is not complained of; one that refuses us will go on
refusing, and one that throws away what it holds would lose jobs.
"""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Mapping
from typing import Any

from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

logger = logging.getLogger(__name__)

LOWEST_VERSION = (7, 0)


async def require_usable(redis: Any) -> None:
    """Raises ValueError that says what to change."""
    try:
        facts = facts_of(await redis.execute_command("INFO", "server", "memory"))
    except AuthenticationError as error:
        text = "set NFIG_REDIS_USERNAME and NFIG_REDIS_PASSWORD"
        raise ValueError(f"Redis refuses the login ({error}): {text}") from None
    except NoPermissionError:
        logger.warning("Redis does not let us ask for its version and memory: they go unchecked")
        return
    except (RedisError, OSError) as error:
        _complain_of(error)
        return
    _check(facts)


def _complain_of(error: Exception) -> None:
    """Raises ValueError for what will not pass by itself."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            text = f"the certificate of Redis cannot be verified ({cause.verify_message})"
            raise ValueError(f"{text}: see NFIG_REDIS_CA_FILE") from None
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, ResponseError) and "NOAUTH" in str(error):
        raise ValueError("Redis asks for a password: set NFIG_REDIS_PASSWORD") from None
    logger.warning("Redis does not answer yet: %s", error)


def _check(facts: Mapping[str, str]) -> None:
    version = facts.get("redis_version", "")
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers and tuple(map(int, numbers.groups())) < LOWEST_VERSION:
        raise ValueError(f"Redis is {version}: it must be 7.0 or later")
    policy = facts.get("maxmemory_policy", "noeviction")
    if facts.get("maxmemory", "0") != "0" and policy != "noeviction":
        text = "Redis would throw accepted jobs away when it is full: set maxmemory-policy"
        raise ValueError(f"{text} to noeviction, not {policy}")
    if facts.get("maxmemory", "0") == "0":
        logger.info("Redis has no maxmemory: see NFIG_QUEUE_MEMORY_BYTES")


def facts_of(answer: Any) -> Mapping[str, str]:
    """What an answer to INFO says."""
    if isinstance(answer, Mapping):  # the client has read it
        return {str(name): str(value) for name, value in answer.items()}
    lines = (line.partition(":") for line in answer.decode().splitlines())
    return {name: value.strip() for name, colon, value in lines if colon}
