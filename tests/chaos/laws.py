"""The promises of the service, each as a law that a history keeps or breaks.

A law is a function from a history to its violations, in words. It knows nothing of the service but
what clients see, so that it can be read line by line beside section 7 of the design, and tried on
histories that are written by hand (`test_laws.py`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
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
IMAGE = "image.completed"
REFUSALS = frozenset({429, 503})
AT_THE_DOOR = frozenset({"queue_full", "rate_limit_exceeded", "deadline_unattainable"})
"""Codes that no job ends with."""
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
    job that is completed has all of them, up to where each image says that it ends."""
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
        wanted = expected[stored.shape]
        if log[-1:] and log[-1].name == "job.completed":
            ends = _ends(log)
            missing = {each for each in wanted if each[1] < ends.get(each[0], 99)} - drawn
        else:
            missing = set()
        if missing or not drawn <= wanted:
            apart = missing | (drawn - wanted)
            yield f"job {stored.job} ({stored.shape}) drew {apart} apart"


def images_say_how_far_they_came(history: History) -> Iterator[str]:
    """A deadline or a brownout takes bands from the end of an image: it says how many it has, in
    the log and in the answer alike, and only where the request allows it."""
    full = Counter((each.shape, each.image) for each in history.of(Undisturbed))
    for stored in history.of(Stored):
        log = history.logs[stored.job]
        drawn = _bands(log)
        takeovers = sum(seen.name == "job.started" for seen in log) - 1
        for image, end in _ends(log).items():
            has = len(drawn.get(image, ()))
            # Whoever takes over late may get less far than what its predecessor had logged.
            if not 0 < end <= has or (end < has and not takeovers):
                yield f"job {stored.job}: image {image} says {end} bands, its log has {has}"
        for sent in history.requests.get(stored.request, ())[:1]:
            yield from _bands_that_are_missed(sent, stored, log, full)
            yield from _answers_apart(history, stored, _ends(log))


def _bands_that_are_missed(
    sent: Sent, stored: Stored, log: Sequence[Seen], full: Counter[tuple[str, int]]
) -> Iterator[str]:
    for seen in log:
        if seen.name != IMAGE:
            continue
        shed, image = seen.data["shed"], seen.data["image_index"]
        short = seen.data["bands_completed"] < full[stored.shape, image]
        if shed and sent.brownout == "never":
            yield f"job {stored.job} allows no brownout, image {image} was shed"
        if short and not shed and sent.deadline_ms is None:
            yield f"job {stored.job} has no deadline, image {image} lacks bands"


def _answers_apart(history: History, stored: Stored, ends: Mapping[int, int]) -> Iterator[str]:
    for sent in history.requests[stored.request]:
        for answer in history.answers.get(sent.op, ()):
            said = answer.bands_completed if isinstance(answer, Answered) else None
            if said is not None and dict(enumerate(said)) != ends:
                yield f"call {answer.op} was told {said} bands, job {stored.job} has {ends}"


def variations_keep_their_prefix(history: History) -> Iterator[str]:
    """The first bands of all variations are those of the one uploaded image, and marked so; no
    other band is."""
    uploaded: dict[int, str] = {}
    for stored in history.of(Stored):
        keep = next((sent.keep for sent in history.requests.get(stored.request, ())), None) or 0
        for seen in history.logs[stored.job]:
            if seen.name != BAND:
                continue
            band, digest = seen.data["band"], seen.data["token_digest"]
            if seen.data["kept"] != (band < keep):
                yield f"job {stored.job} keeps {keep} bands, and {seen.id} says of {band} otherwise"
            if band < keep and uploaded.setdefault(band, digest) != digest:
                yield f"job {stored.job}: band {band} is not that of the uploaded image"


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
        for image, bands in _bands(late).items():
            if len(bands) > 1:
                yield f"job {job} was not wanted and drew {bands} of image {image}"


def nobody_writes_for_a_lost_lease(history: History) -> Iterator[str]:
    """The fence: from one lease to the next all bands are written by one worker, and what was
    drawing for an earlier lease writes nothing. The fake engine signs its bands by the time that
    it says they took: the whole part is its process, the rest numbers its generations."""
    for job, log in history.logs.items():
        earlier: set[float] = set()
        current: set[float] = set()
        for seen in log:
            if seen.name == "job.started":
                earlier |= current
                current = set()
            elif seen.name == BAND:
                current.add(seen.data["seconds"])
                if current & earlier or len({int(writer) for writer in current}) > 1:
                    yield f"job {job}: at {seen.id}, {current} wrote, and before {earlier}"
                    break


ALWAYS: Sequence[Law] = (
    every_job_ends_once,
    nothing_accepted_is_lost,
    event_ids_rise,
    bands_come_in_order_and_once,
    watchers_see_the_log,
    draws_what_it_always_draws,
    images_say_how_far_they_came,
    variations_keep_their_prefix,
    every_call_has_one_outcome,
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


def _ends(log: Sequence[Seen]) -> dict[int, int]:
    """By image that is complete: the bands that it says it has."""
    return {s.data["image_index"]: s.data["bands_completed"] for s in log if s.name == IMAGE}


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
        else:
            found["refused" if answers else "unknown"] += 1
    found.update(each.state for each in history.of(Stored))
    return found


__all__ = ["ALWAYS", "AUDIT", "SIGNED", "counts", "violations"]
