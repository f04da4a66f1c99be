"""The load: callers as they are in life, over all doors; what they do and see is written down."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress

from service.domain import BrownoutConsent, Priority
from tests.chaos import grpc_door, http_door
from tests.chaos.grpc_door import GrpcDoor
from tests.chaos.history import AUDIT, TERMINAL, Record, Seen
from tests.chaos.http_door import HttpDoor
from tests.chaos.notebook import Event, Notebook
from tests.chaos.wishes import SHAPES, Wish

FETCHES = 5
PAUSE_SECONDS = 0.2
WATCH_SECONDS = 120.0
STALL_SECONDS = (2.0, 4.0)
DEADLINES_MS = (None, None, None, None, 900)
"""The last is too short for all bands of the fake engine."""
BROWNOUTS: Sequence[BrownoutConsent] = ("allow", "never")
PRIORITIES: Sequence[Priority] = ("low", "normal", "normal", "high")
PLAIN = sorted(name for name, shape in SHAPES.items() if shape.keep is None)
VARIED = sorted(set(SHAPES) - set(PLAIN))
UNDISTURBED = "undisturbed"
WHOLE = frozenset({AUDIT, UNDISTURBED})
BROKEN = (http_door.BROKEN, *grpc_door.BROKEN)


class Clients:
    """`records` grows; everything random comes from `rng`."""

    def __init__(
        self, urls: Sequence[str], grpc_addresses: Sequence[str], rng: random.Random
    ) -> None:
        self._notebook = Notebook()
        self._rng = rng
        self._wishes = 0
        self._http = HttpDoor(urls, rng, self._notebook)
        self._doors = (self._http, GrpcDoor(grpc_addresses, rng, self._notebook))
        self._kinds: dict[Callable[[], Awaitable[object]], int] = {
            self.native: 5,
            self.cancelled: 1,
            self.attached: 2,
            self.varied: 1,
            self.streamed: 2,
            self.leaving: 1,
            self.slow: 1,
            self.stalling: 1,
        }

    @property
    def records(self) -> list[Record]:
        return self._notebook.records

    async def close(self) -> None:
        for door in self._doors:
            await door.close()

    async def go_on(self, stop: asyncio.Event) -> None:
        """One caller after another until told to stop; the last one is let finish."""
        while not stop.is_set():
            (kind,) = self._rng.choices(list(self._kinds), weights=list(self._kinds.values()))
            await kind()
            # Without it, whoever is refused comes back at once, and refusals are all there is.
            await asyncio.sleep(self._rng.uniform(0, 2 * PAUSE_SECONDS))

    async def native(self) -> None:
        """A job by a key, and two who watch it."""
        if job := await self.create(self._any_wish()):
            await asyncio.gather(self.watch(job), self.watch(job))

    async def slow(self) -> None:
        """A watcher who takes its time over every event."""
        if job := await self.create(self._any_wish()):
            await self.watch(job, pause_seconds=0.3)

    async def cancelled(self) -> None:
        if job := await self.create(self._any_wish()):
            watching = asyncio.create_task(self.watch(job))
            await asyncio.sleep(self._rng.uniform(0, 0.6))
            while (answer := await self._any_door().cancel(job)) is None or answer.status in (
                429,
                503,
            ):
                await asyncio.sleep(PAUSE_SECONDS)
            await watching

    async def attached(self) -> None:
        await self._any_door().draw(self._any_wish())

    async def varied(self) -> None:
        await self._http.draw(self._any_wish(VARIED))

    async def streamed(self) -> None:
        await self._any_door().stream(self._any_wish())

    async def leaving(self) -> None:
        await self._any_door().stream(self._any_wish(), leave_after=self._rng.randint(1, 3))

    async def stalling(self) -> None:
        """Does not touch its connection for a while, whatever is sent to it."""
        seconds = self._rng.uniform(*STALL_SECONDS)
        await self._any_door().stream(self._any_wish(), stall_seconds=seconds)

    async def draws(self) -> bool:
        """Whether an image comes, of whoever asks for one without conditions."""
        answer = await self._any_door().draw(self.wish(PLAIN[0]))
        return answer is not None and answer.status == 200

    async def undisturbed(self, shape: str) -> str:
        """The job, once it has ended and its watcher of this name has seen it."""
        wish = self.wish(shape)
        if shape in VARIED:
            answer = await self._http.draw(wish)
            job = None if answer is None else answer.job
        else:
            job = await self.create(wish)
        assert job is not None, "refused before the first fault"
        await self.watch(job, name=UNDISTURBED)
        return job

    async def create(self, wish: Wish) -> str | None:
        """The job, which is asked for by the same key until the outcome is known; None if it was
        refused."""
        key = f"key-{self._rng.getrandbits(64):x}"
        # By any door: what is said is the same.
        while (answer := await self._any_door().create(wish, key=key)) is None:
            await asyncio.sleep(PAUSE_SECONDS)
        return answer.job

    async def watch(
        self,
        job: str,
        *,
        name: str = "",
        pause_seconds: float = 0.0,
        seconds: float = WATCH_SECONDS,
    ) -> None:
        """To the terminal event, from one gateway and door or another, going on by the last id."""
        name = name or f"watcher-{self._rng.getrandbits(64):x}"
        last = "0"
        try:
            async with asyncio.timeout(seconds):
                while True:
                    async with aclosing(self._events(name, job, last)) as events:
                        async for event in events:
                            last = event.id
                            if event.name in TERMINAL:
                                return
                            await asyncio.sleep(pause_seconds)
                    await asyncio.sleep(PAUSE_SECONDS)
        except TimeoutError:
            self._notebook.gave_up(name, job)

    async def fetch(self, job: str, image: int) -> None:
        """For the audit: the bytes of an image that is complete, if they are there.

        A gateway may say once that Redis is too slow to answer, and be right.
        """
        for _ in range(FETCHES):
            content = await self._http.image(job, image)
            if content is not None:
                self._notebook.pictured("audit", job, image, content)
                return
            await asyncio.sleep(PAUSE_SECONDS)

    async def _events(self, watcher: str, job: str, after: str) -> AsyncGenerator[Event]:
        """Until the connection breaks; each is written down."""
        # What is read for the laws themselves is read where it is told in full.
        door = self._http if watcher in WHOLE else self._any_door()
        with suppress(*BROKEN):
            async with aclosing(door.events(job, after)) as events:
                async for event in events:
                    self.records.append(
                        Seen(
                            watcher=watcher, job=job, id=event.id, name=event.name, data=event.data
                        )
                    )
                    yield event

    def wish(self, shape: str) -> Wish:
        """A request without conditions."""
        self._wishes += 1
        return Wish(number=self._wishes, shape=shape)

    def _any_wish(self, shapes: Sequence[str] = PLAIN) -> Wish:
        self._wishes += 1
        return Wish(
            number=self._wishes,
            shape=self._rng.choice(shapes),
            deadline_ms=self._rng.choice(DEADLINES_MS),
            brownout=self._rng.choice(BROWNOUTS),
            priority=self._rng.choice(PRIORITIES),
        )

    def _any_door(self) -> HttpDoor | GrpcDoor:
        return self._rng.choice(self._doors)
