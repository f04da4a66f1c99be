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
    Ended,
    GaveUp,
    History,
    Left,
    Seen,
    Stored,
    Unanswered,
)
from tests.chaos.laws import violations
from tests.chaos.whole_history import (
    GONE,
    JOB,
    W1,
    W1_AGAIN,
    Records,
    audit,
    broken_by,
    change,
    find,
    log,
    whole,
)


def test_a_whole_history_keeps_all_laws(tmp_path: Path) -> None:
    assert violations(History(whole())) == []
    histories.write(whole(), tmp_path / "history.jsonl")
    assert histories.read(tmp_path / "history.jsonl").records == whole()


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


def state_that_is_not_the_end(records: Records) -> None:
    place = find(records, Stored, job=JOB)
    records[place] = replace(records[place], state="failed")


def log_without_its_beginning(records: Records) -> None:
    del records[audit(records, "job.queued")]


def accepted_twice(records: Records) -> None:
    place = audit(records, "job.queued")
    records.insert(place + 1, replace(records[place], id="1001-0"))


def drawn_before_any_lease(records: Records) -> None:
    for _ in range(2):
        del records[audit(records, "job.started")]


def end_of_a_lost_job(records: Records) -> None:
    place = find(records, Answered, op=3)
    records[place] = replace(records[place], status=409, code="job_cancelled")


def watcher_who_gave_up(records: Records) -> None:
    records.append(GaveUp(watcher="w2", job=JOB, at=100.0))


def watcher_who_saw_no_end(records: Records) -> None:
    del records[find(records, Seen, watcher="w", name="job.completed")]


def watcher_who_was_told_otherwise(records: Records) -> None:
    change(records, find(records, Seen, watcher="w", name="band.completed"), seconds=5.0)


def stream_that_is_short(records: Records) -> None:
    records[find(records, Ended)] = Ended(op=4, at=0.9, how="short")


def stream_that_ends_twice(records: Records) -> None:
    records.append(Ended(op=4, at=0.95, how="broken"))


def answer_that_is_neither(records: Records) -> None:
    records[find(records, Answered, op=3)] = Answered(op=3, at=0.6, status=200)


def image_of_a_zombie(records: Records) -> None:
    change(records, audit(records, "image.completed"), timing={"bands": 3 * W1})


@pytest.mark.parametrize(
    ("spoil", "law"),
    [
        (second_end, "every_job_ends_once"),
        (no_end, "every_job_ends_once"),
        (state_that_is_not_the_end, "every_job_ends_once"),
        (log_without_its_beginning, "logs_begin_at_the_beginning"),
        (accepted_twice, "logs_begin_at_the_beginning"),
        (drawn_before_any_lease, "logs_begin_at_the_beginning"),
        (end_of_a_lost_job, "an_end_that_was_told_has_its_job"),
        (lost_job, "nothing_accepted_is_lost"),
        (id_that_falls, "event_ids_rise"),
        (band_twice, "bands_come_in_order_and_once"),
        (band_skipped, "bands_come_in_order_and_once"),
        (gap_after_reconnecting, "watchers_see_the_log"),
        (event_that_is_in_no_log, "watchers_see_the_log"),
        (watcher_who_was_told_otherwise, "watchers_see_the_log"),
        (watcher_who_gave_up, "watchers_see_the_end"),
        (watcher_who_saw_no_end, "watchers_see_the_end"),
        (stream_that_is_short, "streams_end_in_order"),
        (stream_that_ends_twice, "streams_end_in_order"),
        (call_without_outcome, "every_call_has_one_outcome"),
        (call_with_two_outcomes, "every_call_has_one_outcome"),
        (job_of_nobody, "each_job_has_its_request"),
        (job_of_another_shape, "each_job_has_its_request"),
        (two_jobs_of_a_request, "each_job_has_its_request"),
        (answered_with_another_job, "each_job_has_its_request"),
        (refused_and_run, "a_refusal_leaves_no_job"),
        (job_without_end, "the_counts_add_up"),
        (answer_that_is_neither, "the_counts_add_up"),
        (two_jobs_of_a_request, "the_counts_add_up"),
        (second_job_of_a_key, "a_key_is_one_job"),
        (key_without_answer, "a_key_is_one_job"),
        (refusal_without_time, "refusals_say_when"),
        (defect, "refusals_say_when"),
        (cancelled_and_drawn, "what_is_not_wanted_stops"),
        (abandoned_and_drawn, "what_is_not_wanted_stops"),
        (two_writers, "nobody_writes_for_a_lost_lease"),
        (image_of_a_zombie, "nobody_writes_for_a_lost_lease"),
        (zombie, "nobody_writes_for_a_lost_lease"),
    ],
)
def test_a_spoilt_history_breaks_the_law_that_speaks_of_it(
    spoil: Callable[[Records], None], law: str
) -> None:
    assert law in broken_by(spoil)
