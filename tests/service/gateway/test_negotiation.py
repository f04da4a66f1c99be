"""Laws of choosing a media type."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import NotAcceptable
from service.gateway.rest.negotiation import JSON, PICTURES, choose

OFFERS = [JSON, *PICTURES]


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("image/*", "image/png"),
        ("image/webp", "image/webp"),
        ("IMAGE/JPEG; q=0.5", "image/jpeg"),
        ("image/png, application/json;q=0.5", "image/png"),
        ("image/png;q=0.2, */*", JSON),
        ("application/json;q=0, */*", "image/png"),
        ("image/*;q=0.5, image/webp;q=0.9", "image/webp"),
    ],
)
def test_the_best_offer_is_chosen(accept: str, chosen: str) -> None:
    assert choose(accept, OFFERS) == chosen


@pytest.mark.parametrize(
    "accept", ["image/gif", "text/html", "*/*;q=0", "image/png;q=no", "nonsense"]
)
def test_nothing_acceptable_is_refused(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        choose(accept, OFFERS)


@given(st.text(max_size=60))
def test_any_header_is_either_answered_or_refused(accept: str) -> None:
    with suppress(NotAcceptable):
        assert choose(accept, OFFERS) in OFFERS
