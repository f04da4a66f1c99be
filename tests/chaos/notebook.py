"""Where callers write down what they send, and what came of it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.history import (
    Answered,
    Call,
    Door,
    End,
    Ended,
    GaveUp,
    Left,
    Pictured,
    Record,
    Sent,
    Source,
    Stalled,
    Unanswered,
)
from tests.chaos.wishes import SHAPES, Wish

NOBODY_KNOWS = frozenset({"queue_unavailable"})
"""The answer was lost on its way to the gateway: the call may have been carried out."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """One of a job's log, in the names of `GET /v1/jobs/{id}/events`, whichever door it came by."""

    id: str
    name: str
    data: Mapping[str, Any]


@dataclass
class Notebook:
    records: list[Record] = field(default_factory=list)
    _calls: int = 0
    _settled: set[int] = field(default_factory=set)

    def sent(self, door: Door, call: Call, wish: Wish, *, key: str | None = None) -> Sent:
        """A call for a job."""
        return self._add(
            Sent(
                op=self._next(),
                at=time.time(),
                door=door,
                call=call,
                request=wish.number,
                shape=wish.shape,
                keep=SHAPES[wish.shape].keep,
                deadline_ms=wish.deadline_ms,
                brownout=wish.brownout,
                key=key,
            )
        )

    def cancelling(self, door: Door, job: str) -> Sent:
        return self._add(Sent(op=self._next(), at=time.time(), door=door, call="cancel", job=job))

    def accepted(
        self, sent: Sent, status: int, job: str, bands_completed: list[int] | None = None
    ) -> Answered:
        answer = Answered(
            op=sent.op, at=time.time(), status=status, job=job, bands_completed=bands_completed
        )
        self._settle(answer)
        return answer

    def failed(
        self, sent: Sent, status: int, code: str | None, *, has_retry_after: bool
    ) -> Answered | None:
        """An answer that is an error; None if it is one that leaves the outcome open."""
        if code in NOBODY_KNOWS:
            self.unanswered(sent, str(code))
            return None
        answer = Answered(
            op=sent.op,
            at=time.time(),
            status=status,
            code=code,
            has_retry_after=has_retry_after,
        )
        self._settle(answer)
        return answer

    def unanswered(self, sent: Sent, error: str) -> None:
        self._settle(Unanswered(op=sent.op, at=time.time(), error=error))

    def has_outcome(self, sent: Sent) -> bool:
        return sent.op in self._settled

    def ended(self, sent: Sent, how: End) -> None:
        """A stream that was answered."""
        self.records.append(Ended(op=sent.op, at=time.time(), how=how))

    def gave_up(self, watcher: str, job: str) -> None:
        self.records.append(GaveUp(watcher=watcher, job=job, at=time.time()))

    def pictured(
        self, source: Source, job: str, image: int, content: bytes, bands: int | None = None
    ) -> None:
        digest = hashlib.sha256(content).hexdigest()
        self.records.append(
            Pictured(source=source, job=job, image=image, digest=digest, bands_completed=bands)
        )

    def left(self, job: str) -> None:
        self.records.append(Left(at=time.time(), job=job))

    def stalled(self, job: str, seconds: float) -> None:
        self.records.append(Stalled(at=time.time(), job=job, seconds=seconds))

    def _settle(self, outcome: Answered | Unanswered) -> None:
        self.records.append(outcome)
        self._settled.add(outcome.op)

    def _add(self, sent: Sent) -> Sent:
        self.records.append(sent)
        return sent

    def _next(self) -> int:
        self._calls += 1
        return self._calls
