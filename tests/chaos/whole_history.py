"""A history that keeps every law, and how to spoil it in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.chaos.history import (
    AUDIT,
    Answered,
    Ended,
    Fault,
    History,
    Left,
    Pictured,
    Record,
    Seen,
    Sent,
    Stored,
    Unanswered,
    Undisturbed,
)
from tests.chaos.laws import violations

JOB, GONE, SHORT = "job", "gone", "short"
DIGESTS = ["a", "b", "c"]
W1, W1_AGAIN, W2 = 1.000001, 1.000002, 1002.000001
Records = list[Record]


def log(job: str, watcher: str, *, bands: int, end: str, kept: int = 0) -> list[Record]:
    """Taken over after the first band."""

    def seen(number: int, name: str, **data: object) -> Seen:
        return Seen(watcher=watcher, job=job, id=f"{1000 * number}-0", name=name, data=data)

    def band(number: int, index: int, writer: float) -> Seen:
        data = {"image_index": 0, "band": index, "token_digest": DIGESTS[index], "seconds": writer}
        return seen(number, "band.completed", **data, kept=index < kept)

    image = seen(
        8,
        "image.completed",
        image_index=0,
        bands_completed=bands,
        shed=False,
        picture={"digest": f"picture of {bands} bands", "url": f"of {watcher}"},
        timing={"bands": round(bands * W2, 6)},
    )

    events = [
        seen(1, "job.queued"),
        seen(2, "job.started", attempt=1),
        band(3, 0, W1),
        seen(4, "job.started", attempt=2),
        *(band(4 + index, index, W2) for index in range(1, bands)),
        *([image] if end == "job.completed" else []),
        seen(9, end),
    ]
    return list(events)


def whole() -> Records:
    return [
        *(Undisturbed(shape="s", image=0, band=k, digest=d) for k, d in enumerate(DIGESTS)),
        # A native job whose first answer was lost, and one refusal.
        Sent(op=1, at=0.1, door="http", call="native", request=1, shape="s", key="k"),
        Unanswered(op=1, at=0.2, error="broken"),
        Sent(op=2, at=0.3, door="http", call="native", request=1, shape="s", key="k"),
        Answered(op=2, at=0.4, status=202, job=JOB),
        Sent(op=3, at=0.5, door="grpc", call="attached", request=2, shape="s"),
        Answered(op=3, at=0.6, status=503, code="queue_full", has_retry_after=True),
        # A caller who leaves, and a cancellation of what is over.
        Sent(op=4, at=0.7, door="grpc", call="attached", request=3, shape="s"),
        Answered(op=4, at=0.8, status=200, job=GONE),
        Ended(op=4, at=0.9, how="left"),
        Left(at=0.9, job=GONE),
        Sent(op=5, at=9.5, door="http", call="cancel", job=JOB),
        Answered(op=5, at=9.6, status=200),
        # A variation that had a deadline.
        Sent(
            op=6,
            at=0.1,
            door="http",
            call="attached",
            request=4,
            shape="s",
            keep=1,
            deadline_ms=900,
        ),
        Answered(op=6, at=9.2, status=200, job=SHORT, bands_completed=[2]),
        *log(JOB, "w", bands=3, end="job.completed"),
        *log(JOB, AUDIT, bands=3, end="job.completed"),
        *log(GONE, AUDIT, bands=2, end="job.cancelled"),
        *log(SHORT, AUDIT, bands=2, end="job.completed", kept=1),
        *(
            Pictured(
                source=each, job=SHORT, image=0, digest="picture of 2 bands", bands_completed=2
            )
            for each in ("answer", "audit")
        ),
        Pictured(source="audit", job=JOB, image=0, digest="picture of 3 bands"),
        Stored(job=JOB, state="completed", shape="s", request=1),
        Stored(job=GONE, state="cancelled", shape="s", request=3),
        Stored(job=SHORT, state="completed", shape="s", request=4),
        Fault(at=2.0, kind="kill-worker", target="worker-0", over=3.0, recovered=4.0),
    ]


def find(records: Records, kind: type[Record], number: int = 0, **fields: object) -> int:
    """The place of the record of this kind with these fields."""
    found = [
        place
        for place, record in enumerate(records)
        if isinstance(record, kind)
        and all(getattr(record, name) == value for name, value in fields.items())
    ]
    return found[number]


def audit(records: Records, name: str, number: int = 0, job: str = JOB) -> int:
    return find(records, Seen, number, watcher=AUDIT, job=job, name=name)


def change(records: Records, place: int, **data: object) -> None:
    seen = records[place]
    assert isinstance(seen, Seen)
    records[place] = replace(seen, data={**seen.data, **data})


def broken_by(spoil: Callable[[Records], None]) -> set[str]:
    """The names of the laws that the history breaks once it is spoilt."""
    records = whole()
    spoil(records)
    return {text.partition(":")[0] for text in violations(History(records))}
