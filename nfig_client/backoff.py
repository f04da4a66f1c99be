"""How long to wait before the next attempt, and when to give up."""

from __future__ import annotations

import random
from dataclasses import dataclass

from nfig_client.errors import NFIGError


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Attempts are spaced ever wider, at random, so that many clients do not return together."""

    max_retries: int = 6
    """In a row; a watcher that has received an event begins anew. 0 turns them off."""
    first_seconds: float = 0.25
    longest_seconds: float = 8.0
    patience_seconds: float = 60.0
    """Where the service asks for a longer pause than this, the error is raised instead."""

    def seconds(self, failures: int) -> float:
        """The pause after so many failures in a row, 1 or more."""
        ceiling = min(self.longest_seconds, self.first_seconds * 2.0 ** min(failures - 1, 30))
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311 - nobody gains by guessing it


class Retries:
    """Counts the failures of one call or one watcher."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._failures = 0

    def reset(self) -> None:
        self._failures = 0

    def pause_after(self, error: NFIGError) -> float:
        """Seconds until the next attempt. Raises the error where there must be none."""
        self._failures += 1
        asked = error.retry_after_s or 0.0
        too_long = asked > self._backoff.patience_seconds
        if not error.retryable or too_long or self._failures > self._backoff.max_retries:
            raise error
        return max(asked, self._backoff.seconds(self._failures))
