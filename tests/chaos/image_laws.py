"""The promises about what is drawn, as laws in the form of `laws.py`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tests.chaos.history import (
    BAND,
    IMAGE,
    Answered,
    History,
    Pictured,
    Seen,
    Sent,
    Stored,
    Undisturbed,
    bands_of,
    ends_of,
)


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
            ends = ends_of(log)
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
        drawn = bands_of(log)
        takeovers = sum(seen.name == "job.started" for seen in log) - 1
        for image, end in ends_of(log).items():
            has = len(drawn.get(image, ()))
            # Whoever takes over late may get less far than what its predecessor had logged.
            if not 0 < end <= has or (end < has and not takeovers):
                yield f"job {stored.job}: image {image} says {end} bands, its log has {has}"
        for sent in history.requests.get(stored.request, ())[:1]:
            yield from _bands_that_are_missed(sent, stored, log, full)
            yield from _answers_apart(history, stored, ends_of(log))


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
            if said is None:
                continue
            if dict(enumerate(said)) != ends:
                yield f"call {answer.op} was told {said} bands, job {stored.job} has {ends}"
            if stored.state != "completed":
                yield f"call {answer.op} was given images, job {stored.job} is {stored.state}"


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


def each_image_is_complete_once(history: History) -> Iterator[str]:
    """A completed job has every image that was asked for, any job has none twice and no other, and
    nothing of an image follows its completion."""
    asked: defaultdict[str, set[int]] = defaultdict(set)
    for each in history.of(Undisturbed):
        asked[each.shape].add(each.image)
    for stored in history.of(Stored):
        log = history.logs[stored.job]
        complete: list[int] = []
        for seen in log:
            if seen.name in (BAND, IMAGE) and seen.data["image_index"] in complete:
                yield f"job {stored.job}: {seen.name} {seen.id} follows the end of its image"
            if seen.name == IMAGE:
                complete.append(seen.data["image_index"])
        wanted = asked[stored.shape]
        if not set(complete) <= wanted or (stored.state == "completed" and set(complete) != wanted):
            yield f"job {stored.job} is {stored.state} with the images {complete} of {wanted}"


def the_same_image_has_the_same_bytes(history: History) -> Iterator[str]:
    """Promise 3: whoever drew it, and whatever happened meanwhile."""
    first: dict[tuple[str, int, int], str] = {}
    for stored in history.of(Stored):
        for seen in history.logs[stored.job]:
            if seen.name != IMAGE:
                continue
            of_image = stored.shape, seen.data["image_index"], seen.data["bands_completed"]
            digest = seen.data["picture"]["digest"]
            if first.setdefault(of_image, digest) != digest:
                yield f"job {stored.job}: image {of_image} has other bytes than elsewhere"


def the_bytes_are_those_of_the_log(history: History) -> Iterator[str]:
    """Whatever anybody was given of an image is what the log says of it; and at the end every
    image that the log has can be fetched."""
    logged = {
        (job, seen.data["image_index"]): seen
        for job, log in history.logs.items()
        for seen in log
        if seen.name == IMAGE
    }
    fetched = set()
    for each in history.of(Pictured):
        seen = logged.get((each.job, each.image))
        if seen is None or seen.data["picture"]["digest"] != each.digest:
            yield f"job {each.job}: the {each.source} has other bytes of image {each.image}"
        elif each.bands_completed not in (None, seen.data["bands_completed"]):
            yield f"job {each.job}: the {each.source} says {each.bands_completed} bands"
        if each.source == "audit":
            fetched.add((each.job, each.image))
    for job, image in sorted(logged.keys() - fetched):
        yield f"job {job}: image {image} is complete and cannot be fetched"


IMAGE_LAWS = (
    draws_what_it_always_draws,
    images_say_how_far_they_came,
    variations_keep_their_prefix,
    each_image_is_complete_once,
    the_same_image_has_the_same_bytes,
    the_bytes_are_those_of_the_log,
)
