"""The promises of the service, each as a law that a history keeps or breaks.

A law is a function from a history to its violations, in words. It knows nothing of the service but
what clients see, so that it can be read line by line beside section 7 of the design, and tried on
histories that are written by hand (`test_laws.py`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from tests.chaos.history import (
    AUDIT,
    TERMINAL,
    Answered,
    History,
    Left,
    Seen,
    Sent,
    Stored,
    Unanswered,
    Undisturbed,
)

Law = Callable[[History], Iterator[str]]
BAND = "band.completed"
REFUSALS = frozenset({429, 503})
ABANDONED_SECONDS = 6.0
"""After which nobody draws for a caller who hung up: the gateway may have been killed at that very
moment, then its word for the job lapses first. Longer than the attendance in `stack.py` and the
lease together."""


def every_job_ends_once(history: History) -> Iterator[str]:
    """Promise 1: each accepted job reaches exactly one terminal event, which is its last."""
    for job, log in history.logs.items():
        ends = [seen.name for seen in log if seen.name in TERMINAL]
        if len(ends) != 1 or log[-1].name not in TERMINAL:
            yield f"job {job} has the ends {ends}, its last event is {log[-1:]}"


def nothing_accepted_is_lost(history: History) -> Iterator[str]:
    """Promise 1: what was answered with a job is there at the end."""
    stored = {each.job for each in history.of(Stored)}
    for answer in history.of(Answered):
        if answer.job is not None and answer.status < 300 and answer.job not in stored:
            yield f"job {answer.job} of call {answer.op} was accepted and is lost"


def event_ids_rise(history: History) -> Iterator[str]:
    """Promise 2, of every watcher."""
    for (watcher, job), view in history.views.items():
        for earlier, later in pairwise(view):
            if _number(earlier.id) >= _number(later.id):
                yield f"{watcher} of {job} saw {later.id} after {earlier.id}"


def bands_come_in_order_and_once(history: History) -> Iterator[str]:
    """Promise 2, of every watcher and image: 0, 1, 2 and so on, takeover or not."""
    for (watcher, job), view in history.views.items():
        for image, bands in _bands(view).items():
            if bands != list(range(len(bands))):
                yield f"{watcher} of {job} saw the bands {bands} of image {image}"


def watchers_see_the_log(history: History) -> Iterator[str]:
    """Promise 2: whoever reconnects by the last id misses nothing and sees nothing else."""
    for (watcher, job), view in history.views.items():
        log = history.logs.get(job, ())
        if [_fact(seen) for seen in view] != [_fact(seen) for seen in log[: len(view)]]:
            yield f"{watcher} of {job} was shown something else than the beginning of its log"


def draws_what_it_always_draws(history: History) -> Iterator[str]:
    """Promise 3: the (image, band, token digest) triples are those of an undisturbed run, and a
    job that is completed has all of them."""
    expected: defaultdict[str, set[tuple[int, int, str]]] = defaultdict(set)
    for each in history.of(Undisturbed):
        expected[each.shape].add((each.image, each.band, each.digest))
    for stored in history.of(Stored):
        log = history.logs[stored.job]
        drawn = {
            (seen.data["image_index"], seen.data["band"], seen.data["token_digest"])
            for seen in log
            if seen.name == BAND
        }
        whole = log[-1:] and log[-1].name == "job.completed"
        if not drawn <= expected[stored.shape] or (whole and drawn != expected[stored.shape]):
            yield f"job {stored.job} ({stored.shape}) drew {drawn ^ expected[stored.shape]} apart"


def every_call_has_one_outcome(history: History) -> Iterator[str]:
    """Promise 4: accepted + refused + unknown = sent."""
    calls = {sent.op for sent in history.of(Sent)}
    for op in calls | set(history.answers):
        if op not in calls or len(history.answers.get(op, ())) != 1:
            yield f"call {op} has the outcomes {history.answers.get(op, ())}"


def no_job_without_a_call(history: History) -> Iterator[str]:
    """Promise 4, from the other side: what is stored was accepted, or may have been."""
    claimed = {answer.job for answer in history.of(Answered)}
    unclaimed = [each.job for each in history.of(Stored) if each.job not in claimed]
    doors = {sent.op: sent.door for sent in history.of(Sent)}
    # An error may be the job's own end, and does not name it.
    possible = sum(
        doors[record.op] == "attached"
        for answers in history.answers.values()
        for record in answers
        if record.op in doors
        and (isinstance(record, Unanswered) or (record.job is None and record.status >= 400))
    )
    if len(unclaimed) > possible:
        yield f"{len(unclaimed)} jobs belong to {possible} calls at most: {unclaimed}"


def a_key_is_one_job(history: History) -> Iterator[str]:
    """Promise 4: a call of unknown outcome that is repeated by its key is never a second job, and
    in the end its outcome is known."""
    outcomes: defaultdict[str, list[Answered | Unanswered]] = defaultdict(list)
    for sent in history.of(Sent):
        if sent.key is not None:
            outcomes[sent.key] += history.answers.get(sent.op, ())
    for key, records in outcomes.items():
        jobs = {each.job for each in records if isinstance(each, Answered) and each.job}
        if len(jobs) > 1:
            yield f"key {key} became the jobs {sorted(jobs)}"
        if not any(isinstance(each, Answered) for each in records):
            yield f"key {key} was never answered"


def refusals_say_when(history: History) -> Iterator[str]:
    """Promise 4: a refusal has a reason, and says when to come back. Nothing is a defect of ours
    (promise 6)."""
    for answer in history.of(Answered):
        if answer.status in REFUSALS and not (answer.code and answer.has_retry_after):
            yield f"call {answer.op} was refused ({answer.status}) without a reason or a time"
        if answer.status >= 500 and answer.code in (None, "internal"):
            yield f"call {answer.op} was answered {answer.status} {answer.code}"


def what_is_not_wanted_stops(history: History) -> Iterator[str]:
    """Promise 5: at most one more band of each image after a cancellation was confirmed, or after
    the caller of an attached job has been gone for long enough."""
    targets = {sent.op: sent.job for sent in history.of(Sent) if sent.door == "cancel"}
    unwanted = {each.job: each.at + ABANDONED_SECONDS for each in history.of(Left)}
    for answer in history.of(Answered):
        if (job := targets.get(answer.op)) is not None and answer.status < 300:
            unwanted[job] = min(answer.at, unwanted.get(job, answer.at))
    for job, since in unwanted.items():
        late = [seen for seen in history.logs.get(job, ()) if _at(seen) > since]
        for image, bands in _bands(late).items():
            if len(bands) > 1:
                yield f"job {job} was not wanted and drew {bands} of image {image}"


def one_writer_per_lease(history: History) -> Iterator[str]:
    """The fence: from one lease to the next, all bands are written by one worker process. The
    fake engine of a run signs its bands by the time that it says they took."""
    for job, log in history.logs.items():
        writers: set[float] = set()
        for seen in log:
            if seen.name == "job.started":
                writers = set()
            elif seen.name == BAND:
                writers.add(seen.data["seconds"])
                if len(writers) > 1:
                    yield f"job {job}: {sorted(writers)} both wrote by {seen.id} for one lease"
                    break


ALWAYS: Sequence[Law] = (
    every_job_ends_once,
    nothing_accepted_is_lost,
    event_ids_rise,
    bands_come_in_order_and_once,
    watchers_see_the_log,
    draws_what_it_always_draws,
    every_call_has_one_outcome,
    no_job_without_a_call,
    a_key_is_one_job,
    refusals_say_when,
    what_is_not_wanted_stops,
)
SIGNED: Sequence[Law] = (*ALWAYS, one_writer_per_lease)
"""Where the engine signs what it draws."""


def violations(history: History, laws: Sequence[Law] = SIGNED) -> list[str]:
    """All of them, each with its law's name in front."""
    return [f"{law.__name__}: {text}" for law in laws for text in law(history)]


def _number(event_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = event_id.partition("-")
    return int(milliseconds), int(sequence)


def _at(seen: Seen) -> float:
    return _number(seen.id)[0] / 1000


def _bands(view: Sequence[Seen]) -> dict[int, list[int]]:
    """By image: its bands in the order of the view."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    for seen in view:
        if seen.name == BAND:
            found[seen.data["image_index"]].append(seen.data["band"])
    return found


def _fact(seen: Seen) -> tuple[str, str, object, object, object]:
    data = seen.data
    return seen.id, seen.name, data.get("image_index"), data.get("band"), data.get("token_digest")


def counts(history: History) -> Counter[str]:
    """Of all calls for a job, and how the stored jobs ended."""
    found: Counter[str] = Counter()
    for sent in history.of(Sent):
        if sent.door == "cancel":
            continue
        found["sent"] += 1
        for outcome in history.answers.get(sent.op, ()):
            if isinstance(outcome, Unanswered):
                found["unknown"] += 1
            elif outcome.status < 300:
                found["accepted"] += 1
            else:
                found["refused or failed"] += 1
    found.update(each.state for each in history.of(Stored))
    return found


__all__ = ["ALWAYS", "AUDIT", "SIGNED", "counts", "violations"]
