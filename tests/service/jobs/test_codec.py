"""What is written can be read again; what is not ours, or not whole, is refused by name."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain import (
    BandCompleted,
    Event,
    GenerationRequest,
    ImageCompleted,
    JobCancelled,
    JobCompleted,
    JobFailed,
    JobQueued,
    JobStarted,
    Picture,
)
from service.engine.fake_engine import FAKE_CARD
from service.jobs import codec
from service.jobs.queue import WorkerStatus
from tests.requests import request_of

NUMBERS = st.integers(min_value=0, max_value=2**31)
SECONDS = st.floats(min_value=0, max_value=1e6)
PICTURES = st.builds(Picture, digest=st.text(), num_bytes=NUMBERS, side=NUMBERS)
RATIOS = st.dictionaries(st.sampled_from(["as_published", "same_code", "total"]), SECONDS)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.just(JobQueued()),
    st.builds(JobStarted, attempt=NUMBERS),
    st.builds(
        BandCompleted,
        image_index=NUMBERS,
        band=NUMBERS,
        seconds=SECONDS,
        batch_size=NUMBERS,
        preview=st.none() | PICTURES,
        speedup=st.none() | RATIOS,
    ),
    st.builds(
        ImageCompleted,
        image_index=NUMBERS,
        picture=PICTURES,
        bands_completed=NUMBERS,
        timing=st.none() | RATIOS,
    ),
    st.just(JobCompleted()),
    st.builds(JobFailed),
    st.just(JobCancelled()),
)
BAND = BandCompleted(
    image_index=0,
    band=1,
    token_digest="t",
    seconds=0.5,
    batch_size=2,
    preview=Picture(digest="d", num_bytes=1, format="png", side=4),
)


@given(EVENTS)
def test_an_event_comes_back_as_it_was(event: Event) -> None:
    again = codec.decode_event(codec.encode_event(event))
    assert vars(again) == vars(event)


@given(st.builds(GenerationRequest, previews=st.lists(NUMBERS).map(tuple)))
def test_a_request_comes_back_as_it_was(request: GenerationRequest) -> None:
    # NaN is no JSON, and no request that was checked holds one.
    finite = dataclasses.asdict(request.sampling).values()
    if all(value == value and abs(value) != float("inf") for value in finite):
        assert codec.decode_request(codec.encode(request)) == request


def test_cards_and_heartbeats_come_back_as_they_were() -> None:
    status = WorkerStatus(worker_id="w", model="m", engine="fake", engine_ready=True)
    assert codec.decode_card(codec.encode(FAKE_CARD)) == FAKE_CARD
    assert codec.decode_worker(codec.encode(status)) == status


@pytest.mark.parametrize(
    "text",
    [
        '{"attempt":1,"event":"job.started"}',
        ' {"event" : "job.started", "attempt": 1}',
    ],
)
def test_an_event_may_be_written_in_any_order(text: str) -> None:
    assert codec.decode_event(text) == codec.decode_event(text.encode()) == JobStarted(attempt=1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"event":"job.queued",}',
        '{"event":"job.queued"',
        '{"event":"job.queued"}}',
        '{"event":"job.queued","event":"job.queued"}',
        '{"event":1}',
        '{"event":["job.queued"]}',
        '{"event":"from.the.future"}',
        '{"event":"job.started","attempt":1.0}',
    ],
)
def test_what_is_no_event_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        codec.decode_event(text)


def test_the_script_fills_the_attempt_in() -> None:
    assert codec.decode_event(codec.started_template() % 12) == JobStarted(attempt=12)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"extra": 1}, "extra"),
        ({"band": "1"}, "band"),
        ({"band": 1.5}, "band"),
        ({"seconds": None}, "seconds"),
        ({"preview": {"digest": "d"}}, "num_bytes"),
        ({"preview": {"digest": "d", "num_bytes": 1, "format": "gif", "side": 4}}, "format"),
        ({"event": "band.begun"}, "event"),
        ({"event": ["band.completed"]}, "event"),
    ],
)
def test_what_is_not_ours_is_refused_by_name(change: dict[str, object], field: str) -> None:
    fields = {**json.loads(codec.encode_event(BAND)), **change}
    with pytest.raises(ValueError, match=field):
        codec.decode_event(json.dumps(fields))


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(GenerationRequest)])
def test_a_request_without_a_field_is_refused_by_name(field: str) -> None:
    fields = json.loads(codec.encode(request_of()))
    del fields[field]
    with pytest.raises(ValueError, match=field):
        codec.decode_request(json.dumps(fields))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "1", '"x"'])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        codec.decode_event(text)
    with pytest.raises(ValueError):
        codec.decode_request(text)
