"""Server-sent events as the demo reads them."""

from __future__ import annotations

from service.stack.stream import parse_events


def test_events_end_with_a_blank_line() -> None:
    lines = ["event: one", 'data: {"a": 1}', "", "event: two", 'data: {"a": 2}', ""]
    assert list(parse_events(iter(lines))) == [("one", {"a": 1}), ("two", {"a": 2})]


def test_comments_and_ends_of_stream_are_left_out() -> None:
    lines = [": keepalive", "", "data: [DONE]", "", "event: cut short", "data: {"]
    assert list(parse_events(iter(lines))) == []
