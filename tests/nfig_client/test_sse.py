"""Laws of the parser of server-sent events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nfig_client.sse import EventParser, ServerEvent

TEXT = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))
LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
PIECES = st.one_of(
    st.sampled_from(["event", "data", "id", "retry", "", "\ufeff", ":", ": ", "\0", "5"]),
    LINE_ENDS,
    TEXT,
)


def parse(chunks: list[bytes]) -> list[ServerEvent]:
    parser = EventParser()
    return [event for chunk in chunks for event in parser.feed(chunk)]


@given(st.lists(PIECES).map("".join), st.data())
def test_where_a_stream_is_cut_does_not_matter(text: str, data: st.DataObject) -> None:
    content = text.encode()
    places = st.lists(st.integers(0, len(content)))
    cuts = [0, *sorted(data.draw(places)), len(content)]
    chunks = [content[start:end] for start, end in zip(cuts, cuts[1:], strict=False)]
    assert parse(chunks) == parse([content])
    assert parse([content[i : i + 1] for i in range(len(content))]) == parse([content])


@given(
    st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=1), st.none() | TEXT), max_size=5), LINE_ENDS
)
def test_what_was_written_is_read(
    events: list[tuple[str, list[str], str | None]], end: str
) -> None:
    lines: list[str] = []
    for name, data, identifier in events:
        lines += [f"event: {name}", ": a comment", *(f"data: {line}" for line in data)]
        lines += [] if identifier is None else [f"id: {identifier}"]
        lines.append("")
    read = parse([(end.join(lines) + end).encode()])
    assert read == [
        ServerEvent(name=name or "message", data="\n".join(data), id=identifier)
        for name, data, identifier in events
    ]


@pytest.mark.parametrize(
    "unfinished", [b"data: x", b"data: x\n", b"event: a\nid: 1\n\n", b": data\n\n", b"\n\n"]
)
def test_what_is_not_whole_or_says_nothing_is_no_event(unfinished: bytes) -> None:
    assert parse([unfinished]) == []


def test_a_stream_says_when_to_come_back() -> None:
    parser = EventParser()
    parser.feed(b"retry: 1500\nretry: soon\n")
    assert parser.retry_seconds == 1.5
