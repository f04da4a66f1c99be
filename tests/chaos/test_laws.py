"""Each law catches what it is there for: a whole history keeps them all, and a history that is
spoilt in one place breaks the law that speaks of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos import history as histories
from tests.chaos.history import (
    AUDIT,
    Answered,
    History,
    Left,
    Record,
    Seen,
    Sent,
    Stored,
    Unanswered,
    Undisturbed,
)
from tests.chaos.laws import violations

JOB, GONE = "job", "gone"
DIGESTS = ["a", "b", "c"]
W1, W2 = 0.001, 0.002
Records = list[Record]


def log(job: str, watcher: str, *, bands: int, end: str) -> list[Record]:
    """Taken over after the first band."""

    def seen(number: int, name: str, **data: object) -> Seen:
        return Seen(watcher=watcher, job=job, id=f"{1000 * number}-0", name=name, data=data)

    def band(number: int, index: int, writer: float) -> Seen:
        data = {"image_index": 0, "band": index, "token_digest": DIGESTS[index], "seconds": writer}
        return seen(number, "band.completed", **data)

    events = [
        seen(1, "job.queued"),
        seen(2, "job.started", attempt=1),
        band(3, 0, W1),
        seen(4, "job.started", attempt=2),
        *(band(4 + index, index, W2) for index in range(1, bands)),
        seen(9, end),
    ]
    return list(events)


def whole() -> Records:
    return [
        *(Undisturbed(shape="s", image=0, band=k, digest=d) for k, d in enumerate(DIGESTS)),
        # A native job whose first answer was lost, and one refusal.
        Sent(op=1, at=0.1, door="native", shape="s", key="k"),
        Unanswered(op=1, at=0.2, error="broken"),
        Sent(op=2, at=0.3, door="native", shape="s", key="k"),
        Answered(op=2, at=0.4, status=202, job=JOB),
        Sent(op=3, at=0.5, door="attached", shape="s"),
        Answered(op=3, at=0.6, status=503, code="queue_full", has_retry_after=True),
        # A caller who leaves, and a cancellation of what is over.
        Sent(op=4, at=0.7, door="attached", shape="s"),
        Answered(op=4, at=0.8, status=200, job=GONE),
        Left(at=0.9, job=GONE),
        Sent(op=5, at=9.5, door="cancel", job=JOB),
        Answered(op=5, at=9.6, status=200),
        *log(JOB, "w", bands=3, end="job.completed")[:5],
        *log(JOB, AUDIT, bands=3, end="job.completed"),
        *log(GONE, AUDIT, bands=2, end="job.cancelled"),
        Stored(job=JOB, state="completed", shape="s"),
        Stored(job=GONE, state="cancelled", shape="s"),
    ]


def test_a_whole_history_keeps_all_laws(tmp_path: Path) -> None:
    assert violations(History(whole())) == []
    histories.write(whole(), tmp_path / "history.jsonl")
    assert histories.read(tmp_path / "history.jsonl").records == whole()


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


def second_end(records: Records) -> None:
    end = audit(records, "job.completed")
    records.insert(end + 1, replace(records[end], id="9001-0", name="job.failed"))


def no_end(records: Records) -> None:
    del records[audit(records, "job.completed")]


def lost_job(records: Records) -> None:
    del records[find(records, Stored, job=JOB)]


def id_that_falls(records: Records) -> None:
    place = find(records, Seen, watcher="w", name="job.started")
    records[place] = replace(records[place], id="1000-0")


def band_twice(records: Records) -> None:
    place = audit(records, "band.completed", 1)
    records.insert(place, replace(records[place], id="4500-0"))


def band_skipped(records: Records) -> None:
    del records[audit(records, "band.completed", 1)]


def gap_after_reconnecting(records: Records) -> None:
    del records[find(records, Seen, watcher="w", name="job.started")]


def event_that_is_in_no_log(records: Records) -> None:
    place = find(records, Seen, watcher="w", name="band.completed")
    records[place] = replace(records[place], id="3001-0")


def other_tokens(records: Records) -> None:
    place = audit(records, "band.completed", 2)
    change(records, place, token_digest="x")


def band_missing_at_the_end(records: Records) -> None:
    del records[audit(records, "band.completed", 2)]


def call_without_outcome(records: Records) -> None:
    del records[find(records, Answered, op=3)]


def call_with_two_outcomes(records: Records) -> None:
    records.append(Unanswered(op=2, at=1.0, error="broken"))


def job_of_nobody(records: Records) -> None:
    # One may be the job of the refused call, which could be the job's own failure.
    for job in ("one", "two"):
        records += [*log(job, AUDIT, bands=1, end="job.cancelled")]
        records.append(Stored(job=job, state="cancelled", shape="s"))


def second_job_of_a_key(records: Records) -> None:
    place = find(records, Unanswered, op=1)
    records[place] = Answered(op=1, at=0.2, status=202, job=GONE)


def key_without_answer(records: Records) -> None:
    place = find(records, Answered, op=2)
    records[place] = Unanswered(op=2, at=0.4, error="broken")


def refusal_without_time(records: Records) -> None:
    place = find(records, Answered, op=3)
    records[place] = replace(records[place], has_retry_after=False)


def defect(records: Records) -> None:
    place = find(records, Answered, op=3)
    records[place] = replace(records[place], status=500, code="internal")


def cancelled_and_drawn(records: Records) -> None:
    place = find(records, Answered, op=5)
    records[place] = replace(records[place], at=4.5)


def abandoned_and_drawn(records: Records) -> None:
    records[find(records, Left)] = Left(at=-4.0, job=GONE)


def zombie(records: Records) -> None:
    place = audit(records, "band.completed", 2)
    change(records, place, seconds=W1)


@pytest.mark.parametrize(
    ("spoil", "law"),
    [
        (second_end, "every_job_ends_once"),
        (no_end, "every_job_ends_once"),
        (lost_job, "nothing_accepted_is_lost"),
        (id_that_falls, "event_ids_rise"),
        (band_twice, "bands_come_in_order_and_once"),
        (band_skipped, "bands_come_in_order_and_once"),
        (gap_after_reconnecting, "watchers_see_the_log"),
        (event_that_is_in_no_log, "watchers_see_the_log"),
        (other_tokens, "draws_what_it_always_draws"),
        (band_missing_at_the_end, "draws_what_it_always_draws"),
        (call_without_outcome, "every_call_has_one_outcome"),
        (call_with_two_outcomes, "every_call_has_one_outcome"),
        (job_of_nobody, "no_job_without_a_call"),
        (second_job_of_a_key, "a_key_is_one_job"),
        (key_without_answer, "a_key_is_one_job"),
        (refusal_without_time, "refusals_say_when"),
        (defect, "refusals_say_when"),
        (cancelled_and_drawn, "what_is_not_wanted_stops"),
        (abandoned_and_drawn, "what_is_not_wanted_stops"),
        (zombie, "one_writer_per_lease"),
    ],
)
def test_a_spoilt_history_breaks_the_law_that_speaks_of_it(
    spoil: Callable[[Records], None], law: str
) -> None:
    records = whole()
    spoil(records)
    broken = {text.partition(":")[0] for text in violations(History(records))}
    assert law in broken
