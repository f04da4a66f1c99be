"""As `test_laws.py`, for the promises about what is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos.history import AUDIT, Answered, Pictured, Sent, Stored
from tests.chaos.whole_history import (
    JOB,
    SHORT,
    Records,
    audit,
    broken_by,
    change,
    find,
    log,
)


def other_tokens(records: Records) -> None:
    place = audit(records, "band.completed", 2)
    change(records, place, token_digest="x")


def band_missing_at_the_end(records: Records) -> None:
    del records[audit(records, "band.completed", 2)]


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


def images_of_a_failed_job(records: Records) -> None:
    place = find(records, Stored, job=SHORT)
    records[place] = replace(records[place], state="failed")


def image_missing_at_the_end(records: Records) -> None:
    del records[audit(records, "image.completed")]


def image_complete_twice(records: Records) -> None:
    place = audit(records, "image.completed")
    records.insert(place + 1, replace(records[place], id="8001-0"))


def band_after_its_image(records: Records) -> None:
    place = audit(records, "image.completed")
    records[place - 1], records[place] = records[place], records[place - 1]


def image_that_nobody_asked_for(records: Records) -> None:
    place = audit(records, "image.completed")
    records.insert(place, replace(records[place], id="7000-0"))
    change(records, place, image_index=1)


def other_bytes_elsewhere(records: Records) -> None:
    records.append(Sent(op=7, at=0.1, door="http", call="attached", request=5, shape="s"))
    records += [*log("other", AUDIT, bands=3, end="job.completed")]
    records.append(Stored(job="other", state="completed", shape="s", request=5))
    change(records, audit(records, "image.completed", job="other"), picture={"digest": "x"})


def other_bytes_in_the_answer(records: Records) -> None:
    place = find(records, Pictured, source="answer")
    records[place] = replace(records[place], digest="x")


def other_bytes_in_the_end(records: Records) -> None:
    place = find(records, Pictured, source="audit")
    records[place] = replace(records[place], digest="x")


def answer_with_other_bands(records: Records) -> None:
    place = find(records, Pictured, source="answer")
    records[place] = replace(records[place], bands_completed=3)


def image_that_is_gone(records: Records) -> None:
    del records[find(records, Pictured, job=JOB)]


@pytest.mark.parametrize(
    ("spoil", "law"),
    [
        (other_tokens, "draws_what_it_always_draws"),
        (band_missing_at_the_end, "draws_what_it_always_draws"),
        (image_that_says_too_little, "images_say_how_far_they_came"),
        (image_that_says_too_much, "images_say_how_far_they_came"),
        (bands_missed_for_no_reason, "images_say_how_far_they_came"),
        (shed_without_leave, "images_say_how_far_they_came"),
        (answer_that_says_otherwise, "images_say_how_far_they_came"),
        (images_of_a_failed_job, "images_say_how_far_they_came"),
        (image_missing_at_the_end, "each_image_is_complete_once"),
        (image_complete_twice, "each_image_is_complete_once"),
        (band_after_its_image, "each_image_is_complete_once"),
        (image_that_nobody_asked_for, "each_image_is_complete_once"),
        (other_bytes_elsewhere, "the_same_image_has_the_same_bytes"),
        (other_bytes_in_the_answer, "the_bytes_are_those_of_the_log"),
        (other_bytes_in_the_end, "the_bytes_are_those_of_the_log"),
        (answer_with_other_bands, "the_bytes_are_those_of_the_log"),
        (image_that_is_gone, "the_bytes_are_those_of_the_log"),
        (prefix_not_kept, "variations_keep_their_prefix"),
        (kept_for_no_reason, "variations_keep_their_prefix"),
        (prefix_of_another_image, "variations_keep_their_prefix"),
    ],
)
def test_a_spoilt_history_breaks_the_law_that_speaks_of_it(
    spoil: Callable[[Records], None], law: str
) -> None:
    assert law in broken_by(spoil)
