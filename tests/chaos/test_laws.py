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
    Fault,
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

    image = seen(8, "image.completed", image_index=0, bands_completed=bands, shed=False)

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
        *log(JOB, "w", bands=3, end="job.completed")[:5],
        *log(JOB, AUDIT, bands=3, end="job.completed"),
        *log(GONE, AUDIT, bands=2, end="job.cancelled"),
        *log(SHORT, AUDIT, bands=2, end="job.completed", kept=1),
        Stored(job=JOB, state="completed", shape="s", request=1),
        Stored(job=GONE, state="cancelled", shape="s", request=3),
        Stored(job=SHORT, state="completed", shape="s", request=4),
        Fault(at=2.0, kind="kill-worker", target="worker-0", over=3.0, recovered=4.0),
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
    place = find(records, Stored, job=JOB)
    records[place] = Stored(job=JOB, state="completed", shape="s", request=9)


def job_of_another_shape(records: Records) -> None:
    place = find(records, Stored, job=JOB)
    records[place] = Stored(job=JOB, state="completed", shape="t", request=1)


def two_jobs_of_a_request(records: Records) -> None:
    records += [*log("twin", AUDIT, bands=1, end="job.cancelled")]
    records.append(Stored(job="twin", state="cancelled", shape="s", request=1))


def answered_with_another_job(records: Records) -> None:
    place = find(records, Answered, op=2)
    records[place] = Answered(op=2, at=0.4, status=202, job=GONE)


def refused_and_run(records: Records) -> None:
    records += [*log("ghost", AUDIT, bands=1, end="job.cancelled")]
    records.append(Stored(job="ghost", state="cancelled", shape="s", request=2))


def job_without_end(records: Records) -> None:
    place = find(records, Stored, job=JOB)
    records[place] = Stored(job=JOB, state="running", shape="s", request=1)


def image_that_says_too_little(records: Records) -> None:
    del records[audit(records, "job.started", 1)]
    change(records, audit(records, "image.completed"), bands_completed=2)


def image_that_says_too_much(records: Records) -> None:
    change(records, audit(records, "image.completed", job=SHORT), bands_completed=3)


def bands_missed_for_no_reason(records: Records) -> None:
    place = find(records, Sent, op=6)
    records[place] = replace(records[place], deadline_ms=None)


def shed_without_leave(records: Records) -> None:
    change(records, audit(records, "image.completed"), shed=True)


def answer_that_says_otherwise(records: Records) -> None:
    place = find(records, Answered, op=6)
    records[place] = replace(records[place], bands_completed=[3])


def prefix_not_kept(records: Records) -> None:
    change(records, audit(records, "band.completed", job=SHORT), kept=False)


def kept_for_no_reason(records: Records) -> None:
    change(records, audit(records, "band.completed", job=JOB), kept=True)


def prefix_of_another_image(records: Records) -> None:
    records.append(Sent(op=7, at=0.1, door="http", call="attached", request=5, shape="s", keep=1))
    records += [*log("other", AUDIT, bands=2, end="job.cancelled", kept=1)]
    records.append(Stored(job="other", state="cancelled", shape="s", request=5))
    change(records, audit(records, "band.completed", job="other"), token_digest="z")


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


def two_writers(records: Records) -> None:
    change(records, audit(records, "band.completed", 2), seconds=W1_AGAIN)


def zombie(records: Records) -> None:
    for number in (1, 2):
        change(records, audit(records, "band.completed", number), seconds=W1)


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
        (job_of_nobody, "each_job_has_its_request"),
        (job_of_another_shape, "each_job_has_its_request"),
        (two_jobs_of_a_request, "each_job_has_its_request"),
        (answered_with_another_job, "each_job_has_its_request"),
        (refused_and_run, "a_refusal_leaves_no_job"),
        (job_without_end, "the_counts_add_up"),
        (two_jobs_of_a_request, "the_counts_add_up"),
        (image_that_says_too_little, "images_say_how_far_they_came"),
        (image_that_says_too_much, "images_say_how_far_they_came"),
        (bands_missed_for_no_reason, "images_say_how_far_they_came"),
        (shed_without_leave, "images_say_how_far_they_came"),
        (answer_that_says_otherwise, "images_say_how_far_they_came"),
        (prefix_not_kept, "variations_keep_their_prefix"),
        (kept_for_no_reason, "variations_keep_their_prefix"),
        (prefix_of_another_image, "variations_keep_their_prefix"),
        (second_job_of_a_key, "a_key_is_one_job"),
        (key_without_answer, "a_key_is_one_job"),
        (refusal_without_time, "refusals_say_when"),
        (defect, "refusals_say_when"),
        (cancelled_and_drawn, "what_is_not_wanted_stops"),
        (abandoned_and_drawn, "what_is_not_wanted_stops"),
        (two_writers, "nobody_writes_for_a_lost_lease"),
        (zombie, "nobody_writes_for_a_lost_lease"),
    ],
)
def test_a_spoilt_history_breaks_the_law_that_speaks_of_it(
    spoil: Callable[[Records], None], law: str
) -> None:
    records = whole()
    spoil(records)
    broken = {text.partition(":")[0] for text in violations(History(records))}
    assert law in broken
