"""Requests that come at their own pace, whether or not earlier ones have been answered: what a
crowd does, and what a client that waits for its answers never shows."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.http_calls import KeptConnection

PATH = "/v1/images/generations"
IDLE_SECONDS = 2.0
"""Less than the server keeps a connection that says nothing."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one request."""

    status: int
    seconds: float
    """From when it was due, so that a client that falls behind does not hide it."""
    bands: int
    """Of its image; 0 without one."""

    @property
    def completed(self) -> bool:
        return self.status == 200

    @property
    def refused(self) -> bool:
        return self.status == 503


class Crowd:
    """Connections to one gateway, as many as there are requests at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: deque[tuple[float, KeptConnection]] = deque()

    async def come(self, *, rate: float, seconds: float, warm_up: float) -> list[Outcome]:
        """`rate` requests per second for `warm_up` and then `seconds`; tells of the latter."""
        began = time.perf_counter()
        calls = []
        for number in range(round(rate * (warm_up + seconds))):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            calls.append(asyncio.create_task(self._call(number, due)))
        outcomes = await asyncio.gather(*calls)
        return outcomes[round(rate * warm_up) :]

    async def capacity(self, *, clients: int, seconds: float) -> float:
        """Images per second when so many callers each wait for one after another."""
        end = time.perf_counter() + seconds

        async def one_after_another(caller: int) -> int:
            count = 0
            while time.perf_counter() < end:
                outcome = await self._call(caller, time.perf_counter())
                if not outcome.completed:
                    raise RuntimeError(f"a request was answered with {outcome.status}")
                count += 1
            return count

        began = time.perf_counter()
        counts = await asyncio.gather(*map(one_after_another, range(clients)))
        return sum(counts) / (time.perf_counter() - began)

    async def go(self) -> None:
        while self._idle:
            await self._idle.pop()[1].close()

    async def _call(self, seed: int, due: float) -> Outcome:
        connection = await self._connection()
        # Only a description comes back: the picture's bytes would be the client's work.
        body = {"prompt": "red", "seed": seed, "response_format": "url"}
        answer = await connection.exchange(PATH, body)
        seconds = time.perf_counter() - due
        self._idle.append((time.perf_counter(), connection))
        drawn = json.loads(answer.body)["data"] if answer.status == 200 else []
        bands = drawn[0]["bands_completed"] if drawn else 0
        return Outcome(status=answer.status, seconds=seconds, bands=bands)

    async def _connection(self) -> KeptConnection:
        oldest = time.perf_counter() - IDLE_SECONDS
        while self._idle and self._idle[0][0] < oldest:
            await self._idle.popleft()[1].close()
        return self._idle.pop()[1] if self._idle else await KeptConnection.open(self._port)


def seconds_of(outcomes: Sequence[Outcome], *, completed: bool) -> list[float]:
    """The times of the completed, or of the refused."""
    return [each.seconds for each in outcomes if (each.completed if completed else each.refused)]
