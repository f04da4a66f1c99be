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
    BAND,
    IMAGE,
    TERMINAL,
    Answered,
    Ended,
    GaveUp,
    History,
    Left,
    Seen,
    Sent,
    Stored,
    Unanswered,
    bands_of,
)
from tests.chaos.image_laws import IMAGE_LAWS

Law = Callable[[History], Iterator[str]]
REFUSALS = frozenset({429, 503})
AT_THE_DOOR = frozenset({"queue_full", "rate_limit_exceeded", "deadline_unattainable"})
"""Codes that no job ends with."""
OF_A_JOB = frozenset({"job_cancelled", "deadline_exceeded", "internal"})
"""Codes that tell of the end of a job that was accepted."""
SIGNATURE_DIGITS = 6
ABANDONED_SECONDS = 6.0
"""After which nobody draws for a caller who hung up: the gateway may have been killed at that very
moment, then its word for the job lapses first. Longer than the attendance in `stack.py` and the
lease together."""


def every_job_ends_once(history: History) -> Iterator[str]:
    """Promise 1: each accepted job reaches exactly one terminal event, which is its last, and says
    the same of itself."""
    for stored in history.of(Stored):
        log = history.logs[stored.job]
        ends = [seen.name for seen in log if seen.name in TERMINAL]
        if ends != [f"job.{stored.state}"] or log[-1].name not in TERMINAL:
            yield f"job {stored.job} is {stored.state}, has the ends {ends}, and last {log[-1:]}"


def logs_begin_at_the_beginning(history: History) -> Iterator[str]:
    """Promise 2: the acceptance comes first and once, and nothing is drawn without a lease."""
    for job, log in history.logs.items():
        names = [seen.name for seen in log]
        if names[:1] != ["job.queued"] or names.count("job.queued") != 1:
            yield f"job {job} has the log {names}"
        drawn = [place for place, name in enumerate(names) if name in (BAND, IMAGE)]
        if drawn and "job.started" not in names[: drawn[0]]:
            yield f"job {job} was drawn before anybody had it: {names}"


def nothing_accepted_is_lost(history: History) -> Iterator[str]:
    """Promise 1: what was answered with a job is there at the end."""
    stored = {each.job for each in history.of(Stored)}
    for answer in history.of(Answered):
        if answer.job is not None and answer.job not in stored:
            yield f"job {answer.job} of call {answer.op} was accepted and is lost"


def an_end_that_was_told_has_its_job(history: History) -> Iterator[str]:
    """Promise 1: so is what a caller was told the end of."""
    stored = {each.request for each in history.of(Stored)}
    for request, calls in history.requests.items():
        for answer in _answers(history, calls):
            if answer.code in OF_A_JOB and request not in stored:
                yield f"request {request} was answered {answer.code}, and its job is lost"


def event_ids_rise(history: History) -> Iterator[str]:
    """Promise 2, of every watcher."""
    for (watcher, job), view in history.views.items():
        for earlier, later in pairwise(view):
            if _number(earlier.id) >= _number(later.id):
                yield f"{watcher} of {job} saw {later.id} after {earlier.id}"


def bands_come_in_order_and_once(history: History) -> Iterator[str]:
    """Promise 2, of every watcher and image: 0, 1, 2 and so on, takeover or not."""
    for (watcher, job), view in history.views.items():
        for image, bands in bands_of(view).items():
            if bands != list(range(len(bands))):
                yield f"{watcher} of {job} saw the bands {bands} of image {image}"


def watchers_see_the_log(history: History) -> Iterator[str]:
    """Promise 2: whoever reconnects by the last id misses nothing and sees nothing else."""
    for (watcher, job), view in history.views.items():
        log = history.logs.get(job, ())
        if len(view) > len(log) or not all(map(_same, view, log)):
            yield f"{watcher} of {job} was shown something else than the beginning of its log"


def watchers_see_the_end(history: History) -> Iterator[str]:
    """Promise 2: nobody who watches a job waits for its end in vain."""
    for each in history.of(GaveUp):
        yield f"{each.watcher} of {each.job} gave up"
    for (watcher, job), view in history.views.items():
        if view[-1].name not in TERMINAL:
            yield f"{watcher} of {job} saw the last of it in {view[-1].name}"


def streams_end_in_order(history: History) -> Iterator[str]:
    """Promise 4: a stream brings what was asked for or says why not, unless its connection breaks
    or its caller hangs up; and it ends once."""
    ends: defaultdict[int, list[str]] = defaultdict(list)
    for each in history.of(Ended):
        ends[each.op].append(each.how)
    for op, how in ends.items():
        if "short" in how or len(how) != 1:
            yield f"the stream of call {op} ended {how}"


def every_call_has_one_outcome(history: History) -> Iterator[str]:
    """Promise 4: no call is left open, and none is answered twice."""
    calls = {sent.op for sent in history.of(Sent)}
    for op in calls | set(history.answers):
        if op not in calls or len(history.answers.get(op, ())) != 1:
            yield f"call {op} has the outcomes {history.answers.get(op, ())}"


def each_job_has_its_request(history: History) -> Iterator[str]:
    """Promise 4, from the other side: what is stored was asked for, by exactly one request, and is
    the job that the request's answers name."""
    owners: dict[int, str] = {}
    for stored in history.of(Stored):
        calls = history.requests.get(stored.request, ())
        if not calls or calls[0].shape != stored.shape:
            yield f"job {stored.job} ({stored.shape}) belongs to no request"
        if stored.request in owners:
            yield f"request {stored.request} became {owners[stored.request]} and {stored.job}"
        owners[stored.request] = stored.job
    for request, calls in history.requests.items():
        for answer in _answers(history, calls):
            if answer.job is not None and answer.job != owners.get(request):
                yield f"request {request} was answered with {answer.job}, which is not its job"


def a_refusal_leaves_no_job(history: History) -> Iterator[str]:
    """Promise 4: what was refused at the door never runs."""
    stored = {each.request: each.job for each in history.of(Stored)}
    for request, calls in history.requests.items():
        codes = [answer.code for answer in _answers(history, calls)]
        # A call of unknown outcome may have made the job before another one was refused.
        if len(codes) == len(calls) and set(codes) <= AT_THE_DOOR and request in stored:
            yield f"request {request} was refused ({codes}) and became {stored[request]}"


def the_counts_add_up(history: History) -> Iterator[str]:
    """Promise 4: accepted + refused + unknown = sent, completed + failed + cancelled = accepted."""
    found = counts(history)
    if found["accepted"] + found["refused"] + found["unknown"] != found["sent"]:
        yield f"of the requests: {found}"
    if found["completed"] + found["failed"] + found["cancelled"] != found["accepted"]:
        yield f"of the jobs: {found}"


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
    targets = {sent.op: sent.job for sent in history.of(Sent) if sent.call == "cancel"}
    unwanted = {each.job: each.at + ABANDONED_SECONDS for each in history.of(Left)}
    for answer in history.of(Answered):
        if (job := targets.get(answer.op)) is not None and answer.status < 300:
            unwanted[job] = min(answer.at, unwanted.get(job, answer.at))
    for job, since in unwanted.items():
        late = [seen for seen in history.logs.get(job, ()) if _at(seen) > since]
        for image, bands in bands_of(late).items():
            if len(bands) > 1:
                yield f"job {job} was not wanted and drew {bands} of image {image}"


def nobody_writes_for_a_lost_lease(history: History) -> Iterator[str]:
    """The fence: from one lease to the next all bands and images are written by one worker, and
    what was drawing for an earlier lease writes nothing. The fake engine signs its bands by the
    time that it says they took: the whole part is its process, the rest numbers its generations.
    An image is signed by the time of all its bands."""
    for job, log in history.logs.items():
        earlier: set[float] = set()
        current: set[float] = set()
        for seen in log:
            if seen.name == "job.started":
                earlier |= current
                current = set()
            elif seen.name == BAND:
                current.add(round(seen.data["seconds"], SIGNATURE_DIGITS))
            elif seen.name == IMAGE and "timing" in seen.data:
                bands = seen.data["timing"]["bands"] / seen.data["bands_completed"]
                current.add(round(bands, SIGNATURE_DIGITS))
            if seen.name in (BAND, IMAGE) and (
                current & earlier or len({int(writer) for writer in current}) > 1
            ):
                yield f"job {job}: at {seen.id}, {current} wrote, and before {earlier}"
                break


ALWAYS: Sequence[Law] = (
    every_job_ends_once,
    logs_begin_at_the_beginning,
    an_end_that_was_told_has_its_job,
    nothing_accepted_is_lost,
    event_ids_rise,
    bands_come_in_order_and_once,
    watchers_see_the_log,
    watchers_see_the_end,
    *IMAGE_LAWS,
    every_call_has_one_outcome,
    streams_end_in_order,
    each_job_has_its_request,
    a_refusal_leaves_no_job,
    the_counts_add_up,
    a_key_is_one_job,
    refusals_say_when,
    what_is_not_wanted_stops,
)
SIGNED: Sequence[Law] = (*ALWAYS, nobody_writes_for_a_lost_lease)
"""Where the engine signs what it draws."""


def violations(history: History, laws: Sequence[Law] = SIGNED) -> list[str]:
    """All of them, each with its law's name in front."""
    return [f"{law.__name__}: {text}" for law in laws for text in law(history)]


def _number(event_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = event_id.partition("-")
    return int(milliseconds), int(sequence)


def _at(seen: Seen) -> float:
    return _number(seen.id)[0] / 1000


def _same(seen: Seen, logged: Seen) -> bool:
    """Both doors tell the same of an event, as far as they tell of the same; but for addresses,
    which depend on who is asked."""
    ours, theirs = dict(seen.data), dict(logged.data)
    shared = (ours.keys() & theirs.keys()) - {"picture", "preview"}
    same = all(ours[name] == theirs[name] for name in shared)
    return same and (seen.id, seen.name) == (logged.id, logged.name)


def _answers(history: History, calls: Sequence[Sent]) -> list[Answered]:
    """Those of them that were answered, with the answers."""
    outcomes = [each for sent in calls for each in history.answers.get(sent.op, ())]
    return [each for each in outcomes if isinstance(each, Answered)]


def counts(history: History) -> Counter[str]:
    """Of all requests, of which an accepted one has a job, and how the jobs have ended.

    An error is a refusal if no job came of it; otherwise it tells of the job's own end.
    """
    stored = {each.request for each in history.of(Stored)}
    found: Counter[str] = Counter()
    for request, calls in history.requests.items():
        answers = _answers(history, calls)
        found["sent"] += 1
        found[f"over {calls[0].door}"] += 1
        if request in stored or any(answer.job is not None for answer in answers):
            found["accepted"] += 1
        elif any(answer.status >= 400 for answer in answers):
            found["refused"] += 1
        elif not answers:
            found["unknown"] += 1
    found.update(each.state for each in history.of(Stored))
    return found


__all__ = ["ALWAYS", "AUDIT", "SIGNED", "counts", "violations"]
