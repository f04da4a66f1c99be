"""`python -m tests.chaos.worker BAND_SECONDS SIGNATURE [unfenced]`: a worker whose fake engine is
slow and signs its bands: it says that each took SIGNATURE seconds.

SIGUSR1 makes its clock jump by an hour. `unfenced` breaks it on purpose: whatever it writes, it
names the job's current epoch, as if there were no fence.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace

from service.domain import BandCompleted, ImageCompleted, TerminalEvent
from service.engine.engine import DrawnBand, Generation
from service.engine.fake_engine import FakeEngine
from service.jobs.queue import Lease
from service.jobs.redis_connection import unavailable
from service.jobs.redis_queue import RedisQueue
from service.worker import __main__ as process

HOUR = 3600.0


class SignedEngine(FakeEngine):
    def __init__(self, *, band_seconds: float, signature: float) -> None:
        super().__init__(band_seconds=band_seconds)
        self._signature = signature

    async def draw(self, generation: Generation) -> AsyncGenerator[DrawnBand]:
        async with aclosing(super().draw(generation)) as bands:
            async for drawn in bands:
                yield replace(drawn, seconds=self._signature)


class UnfencedQueue(RedisQueue):
    """A queue for which every worker holds every job."""

    async def renew(self, lease: Lease) -> bool:
        return await super().renew(await self._current(lease))

    async def publish(
        self,
        lease: Lease,
        event: BandCompleted | ImageCompleted,
        *,
        pictures: Mapping[str, bytes],
    ) -> bool:
        return await super().publish(await self._current(lease), event, pictures=pictures)

    async def finish(self, lease: Lease, event: TerminalEvent) -> None:
        await super().finish(await self._current(lease), event)

    async def _current(self, lease: Lease) -> Lease:
        with unavailable():
            epoch = await self._redis.hget(self._keys.job(lease.job.id), "epoch")
        return replace(lease, epoch=int(epoch or 0))


def _jump(*_: object) -> None:
    real = time.time
    time.time = lambda: real() + HOUR


def main() -> None:
    band_seconds, signature = map(float, sys.argv[1:3])
    engine = SignedEngine(band_seconds=band_seconds, signature=signature)
    process.build_engine = lambda settings, metrics: engine
    if "unfenced" in sys.argv[3:]:
        process.RedisQueue = UnfencedQueue
    signal.signal(signal.SIGUSR1, _jump)
    process.main()


if __name__ == "__main__":
    main()
