"""Takes as many jobs as there is room for, and lets go of them in order when told to stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from service.engine.engine import Engine
from service.errors import JobLost, QueueUnavailable
from service.jobs.queue import JobQueue, Lease
from service.metrics import Metrics
from service.worker.heartbeat import Heartbeat
from service.worker.job_run import JobRun
from service.worker.persistence import PAUSE_SECONDS

logger = logging.getLogger(__name__)

LEASE_WAIT_SECONDS = 1.0
"""Longest single wait for a job; a stop is noticed at once all the same."""


class Worker:
    """One per process. The engine has been started."""

    def __init__(
        self,
        *,
        worker_id: str,
        queue: JobQueue,
        engine: Engine,
        heartbeat: Heartbeat,
        metrics: Metrics,
        max_generations: int,
        lease_seconds: float,
        grace_seconds: float,
    ) -> None:
        self._worker_id = worker_id
        self._queue = queue
        self._engine = engine
        self._heartbeat = heartbeat
        self._brownout = heartbeat.brownout
        self._metrics = metrics
        metrics.expect_model(engine.card.id)
        self._max_generations = max_generations
        self._slots = asyncio.Semaphore(max_generations)
        self._lease_seconds = lease_seconds
        self._grace_seconds = grace_seconds
        self._runs: dict[asyncio.Task[None], int] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; then finishes what it can within the grace period and hands back
        the rest."""
        beating = asyncio.create_task(self._heartbeat.run())
        taking = asyncio.create_task(self._take())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([beating, taking, stopping], return_when=asyncio.FIRST_COMPLETED)
            taking.cancel()
            beating.cancel()
            await asyncio.wait([beating])
            await self._heartbeat.sign_off()
            await asyncio.wait([taking])
            await self._drain()
        finally:
            stopping.cancel()
        for task in (beating, taking):
            if task.done() and not task.cancelled():
                task.result()

    async def _take(self) -> None:
        while True:
            room = self._max_generations - sum(self._runs.values())
            if room <= 0:
                await asyncio.wait(self._runs, return_when=asyncio.FIRST_COMPLETED)
            elif not self._heartbeat.engine_ready:
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                for lease in await self._lease():
                    await self._start_or_give_back(lease)

    async def _start_or_give_back(self, lease: Lease) -> None:
        """The engine may have gone while the call for the lease waited."""
        if self._heartbeat.engine_ready:
            self._start(lease)
        else:
            await self._give_back(lease)

    async def _lease(self) -> Sequence[Lease]:
        # One job a call: how many images it has, and so how much room is left, is known after.
        try:
            leases = await self._uninterrupted_lease()
        except QueueUnavailable as error:
            logger.warning("no jobs: %s", error.message)
            await asyncio.sleep(PAUSE_SECONDS)
            return []
        self._observe(leases)
        return leases

    async def _uninterrupted_lease(self) -> Sequence[Lease]:
        """A lease call that is not abandoned half-way: the job it brings would wait for its lease
        to lapse."""
        leasing = asyncio.ensure_future(
            self._queue.lease(
                self._worker_id,
                model=self._engine.card.id,
                count=1,
                wait_seconds=LEASE_WAIT_SECONDS,
                max_bands=None if self._brownout is None else self._brownout.next_max_bands(),
                engine=self._heartbeat.draws_with,
            )
        )
        try:
            return await asyncio.shield(leasing)
        except asyncio.CancelledError:
            with suppress(QueueUnavailable):
                for lease in await leasing:
                    await self._give_back(lease)
            raise

    async def _give_back(self, lease: Lease) -> None:
        with suppress(QueueUnavailable, JobLost):
            await self._queue.hand_back(lease)

    def _observe(self, leases: Sequence[Lease]) -> None:
        if self._brownout is not None:
            self._brownout.observe_leases(leases)
            level = self._metrics.brownout_level.labels(model=self._engine.card.id)
            level.set(self._brownout.level)

    def _start(self, lease: Lease) -> None:
        run = JobRun(
            lease,
            queue=self._queue,
            engine=self._engine,
            slots=self._slots,
            metrics=self._metrics,
            pace=self._heartbeat.pace,
            engine_ready=lambda: self._heartbeat.engine_ready,
            lease_seconds=self._lease_seconds,
        )
        task = asyncio.create_task(run.run())
        self._runs[task] = run.num_images
        self._metrics.leases.labels(model=self._engine.card.id).set(len(self._runs))
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._runs[task]
        self._metrics.leases.labels(model=self._engine.card.id).set(len(self._runs))
        if not task.cancelled() and task.exception() is not None:
            logger.error("a job's run broke", exc_info=task.exception())

    async def _drain(self) -> None:
        runs = list(self._runs)
        if not runs:
            return
        logger.info("draining %d jobs", len(runs))
        _, late = await asyncio.wait(runs, timeout=self._grace_seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
