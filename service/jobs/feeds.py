"""From one reader to many watchers of a log, none of whom waits for another.

A watcher that does not keep up loses its place here, never an event: the log itself is durable, so
it reads on there and takes a new place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from service.domain import LoggedEvent

PLACE_EVENTS = 256
"""Events that wait for one watcher at most; more than a job of one image has."""


class Place:
    """Where the events of a feed wait for one watcher."""

    def __init__(self, *, start: str) -> None:
        self.start = start
        """Events up to this id were before this place; later ones come here."""
        self._events: list[LoggedEvent] = []
        self._news: asyncio.Future[None] | None = None
        """Done when there is something to take; of the watcher, while it waits."""
        self._left = False
        self._error: Exception | None = None

    @property
    def left(self) -> bool:
        """Nothing is added any more."""
        return self._left

    async def take(self) -> Sequence[LoggedEvent]:
        """What has come since, at least one event. Nothing: read on in the log, which goes on
        without this place. Raises what the feed has failed with."""
        while not self._events and not self._left:
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        if not self._events and self._error is not None:
            raise self._error.with_traceback(None)
        taken, self._events = self._events, []
        return taken

    def put(self, events: Sequence[LoggedEvent]) -> None:
        """A place that would overflow is left, so that it costs nothing more."""
        if len(self._events) + len(events) > PLACE_EVENTS:
            self.leave()
            return
        self._events.extend(events)
        self._tell()

    def leave(self, error: Exception | None = None) -> None:
        self._left = True
        self._error = error
        self._tell()

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)


class Feed:
    """What is new in one log, for everyone who watches it."""

    def __init__(self, *, after: str) -> None:
        self.position = after
        """The last event that has been handed on; the reader goes on after it."""
        self._places: set[Place] = set()

    @property
    def watched(self) -> bool:
        return bool(self._places)

    def join(self) -> Place:
        place = Place(start=self.position)
        self._places.add(place)
        return place

    def leave(self, place: Place) -> None:
        self._places.discard(place)

    def deliver(self, events: Sequence[LoggedEvent]) -> None:
        """Never waits: who is too slow loses its place."""
        self.position = events[-1].id
        for place in self._places:
            place.put(events)
        self._places = {place for place in self._places if not place.left}

    def end(self, error: Exception | None = None) -> None:
        for place in self._places:
            place.leave(error)
        self._places = set()
