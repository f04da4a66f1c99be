"""Laws of fan-out in one process: everyone gets everything, or knows that it is to read on."""

from __future__ import annotations

import asyncio

import pytest

from service.domain import JobStarted, LoggedEvent
from service.errors import QueueUnavailable
from service.jobs.feeds import PLACE_EVENTS, Feed


def event(number: int) -> LoggedEvent:
    return LoggedEvent(id=f"{number}-0", at=float(number), event=JobStarted(attempt=number))


async def test_a_place_begins_where_the_feed_is() -> None:
    feed = Feed(after="3-0")
    early = feed.join()
    feed.deliver([event(4)])
    late = feed.join()
    feed.deliver([event(5)])
    assert (early.start, late.start) == ("3-0", "4-0")
    assert await early.take() == [event(4), event(5)]
    assert await late.take() == [event(5)]


async def test_who_waits_hears_of_news_at_once() -> None:
    feed = Feed(after="0")
    waiting = asyncio.create_task(feed.join().take())
    await asyncio.sleep(0)
    feed.deliver([event(1)])
    assert await asyncio.wait_for(waiting, timeout=1) == [event(1)]


async def test_who_does_not_keep_up_loses_its_place_and_nobody_elses() -> None:
    feed = Feed(after="0")
    slow, quick = feed.join(), feed.join()
    for number in range(1, PLACE_EVENTS + 10):
        feed.deliver([event(number)])
        assert await quick.take() == [event(number)]
    kept = await slow.take()
    assert kept == [event(number) for number in range(1, PLACE_EVENTS + 1)]
    assert list(await slow.take()) == []
    feed.leave(quick)
    assert not feed.watched


async def test_what_came_before_the_end_is_still_taken() -> None:
    feed = Feed(after="0")
    place, failing = feed.join(), Feed(after="0")
    feed.deliver([event(1)])
    feed.end()
    assert await place.take() == [event(1)]
    assert list(await place.take()) == []
    places = [failing.join() for _ in range(2)]
    failing.deliver([event(1)])
    failing.end(QueueUnavailable("gone"))
    for each in places:
        assert await each.take() == [event(1)]
        with pytest.raises(QueueUnavailable):
            await each.take()
